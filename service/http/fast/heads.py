"""Heads of requests, each parsed once: the same bytes mean the same."""

from collections.abc import Callable
from dataclasses import dataclass

import httptools

from service.errors import NotAcceptableError
from service.http.gate import REQUEST_ID, RawHeaders
from service.http.negotiation import PICTURE_TYPES, choose

LINE, END = b"POST /sample HTTP/1.1\r\n", b"\r\n\r\n"
MOST_HEADS, MOST_BYTES = 256, 1024
"""Heads remembered, and the longest of them."""
ELSEWHERE = frozenset(
    {
        *(b"connection", b"expect", b"transfer-encoding", b"upgrade", b"x-forwarded-for", b"x-forwarded-proto"),
        *(b"prefer", b"idempotency-key", b"x-deadline-ms"),
    }
)
"""Headers in which uvicorn has a say, and those that change what is done."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a head says of its request: the bytes of its body, and the id that the caller chose, if any."""

    length: int
    request_id: str | None = None


class Heads:
    """Reads heads. `refuses(headers)`: whether the gate would refuse a request with them."""

    def __init__(self, most_body_bytes: int, refuses: Callable[[RawHeaders], bool] = lambda headers: False) -> None:
        self._most_body_bytes, self._refuses = most_body_bytes, refuses
        self._known: dict[bytes, Head | None] = {}

    def read(self, head: bytes) -> Head | None:
        """What a whole head, its empty line included, asks for; None where that is not one PNG of POST /sample."""
        if not head.startswith(LINE) or head in self._known:
            return self._known.get(head)
        found = self._parse(head)
        if len(head) <= MOST_BYTES and (found is None or found.request_id is None):  # ids do not come again
            if len(self._known) >= MOST_HEADS:
                self._known.clear()
            self._known[head] = found
        return found

    def _parse(self, head: bytes) -> Head | None:
        headers = headers_of(head)
        if headers is None or not _asks_for_png(headers) or self._refuses(headers):
            return None
        named = dict(headers)
        length, asked = named.get(b"content-length", b""), named.get(b"x-request-id")
        if len(named) < len(headers) or named.get(b"content-type") != b"application/json" or not length.isdigit():
            return None
        if int(length) > self._most_body_bytes or not ELSEWHERE.isdisjoint(named):
            return None
        if asked is None:
            return Head(int(length))
        text = asked.decode("latin-1")
        return Head(int(length), text if REQUEST_ID.match(text) else "")


class _Collector:
    """Takes what httptools finds."""

    def __init__(self) -> None:
        self.headers: RawHeaders = []
        self.is_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.is_complete = True


def headers_of(head: bytes) -> RawHeaders | None:
    """The headers, names in lower case; None for what the parser refuses, or takes for more or less than one head."""
    found = _Collector()
    parser = httptools.HttpRequestParser(found)
    try:
        parser.feed_data(head[:-1])
        if found.is_complete:
            return None
        parser.feed_data(head[-1:])
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    return found.headers if found.is_complete else None


def _asks_for_png(headers: RawHeaders) -> bool:
    accept = next((value.decode("latin-1") for name, value in headers if name == b"accept"), None)
    try:
        return choose(accept, PICTURE_TYPES) == "image/png"
    except NotAcceptableError:
        return False
