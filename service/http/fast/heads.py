"""Heads of requests, each parsed once: the same bytes mean the same."""

from dataclasses import dataclass
from types import SimpleNamespace

import httptools

from service.errors import ServiceError
from service.http.gate import REQUEST_ID
from service.http.hosts import HostPolicy
from service.http.negotiation import NPY, PICTURE_TYPES, PNG, choose
from service.http.security_headers import RawHeaders

LINE, END = b"POST /sample HTTP/1.1\r\n", b"\r\n\r\n"
MOST_HEADS, MOST_BYTES = 256, 1024
"""Heads remembered, and the longest of them."""
ELSEWHERE = frozenset(
    b"connection expect transfer-encoding upgrade content-encoding x-forwarded-for x-forwarded-proto "
    b"prefer idempotency-key x-deadline-ms".split()
)
"""Headers in which uvicorn or the gate has a say, and those that change what is done."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a head says of its request: bytes of its body, the id that the caller chose, if any, and what it wants."""

    length: int
    request_id: str | None = None
    media: str = PNG


class Heads:
    """Reads heads; what `hosts` refuses, or answers with more than the usual headers, is left to the gate."""

    def __init__(self, most_body_bytes: int, hosts: HostPolicy) -> None:
        self._most_body_bytes, self._hosts = most_body_bytes, hosts
        self._known: dict[bytes, Head | None] = {}

    def read(self, head: bytes) -> Head | None:
        """What a whole head, its empty line included, asks for; None where that is not a PNG or an array of POST /sample."""
        if not head.startswith(LINE) or head in self._known:
            return self._known.get(head)
        headers = headers_of(head)
        found = None if headers is None else self._meaning(headers)
        if len(head) <= MOST_BYTES and (found is None or found.request_id is None):  # ids do not come again
            if len(self._known) >= MOST_HEADS:
                self._known.clear()
            self._known[head] = found
        return found

    def _meaning(self, headers: RawHeaders) -> Head | None:
        named = dict(headers)
        length, kind, asked = (named.get(name, b"") for name in (b"content-length", b"content-type", b"x-request-id"))
        if len(named) < len(headers) or kind != b"application/json" or not ELSEWHERE.isdisjoint(named):
            return None
        if not length.isdigit() or int(length) > self._most_body_bytes:
            return None
        try:
            media = choose(named.get(b"accept", b"*/*").decode("latin-1"), PICTURE_TYPES)
            is_usual = media in (PNG, NPY) and self._hosts.check("POST", "1.1", headers) is None
        except ServiceError:  # the ordinary way says so
            return None
        text = asked.decode("latin-1")
        request_id = (text if REQUEST_ID.match(text) else "") if b"x-request-id" in named else None
        return Head(int(length), request_id, media) if is_usual else None


def headers_of(head: bytes) -> RawHeaders | None:
    """The headers, names in lower case; None for what the parser refuses, or takes for more or less than one head."""
    headers: RawHeaders = []
    ends: list[bool] = []
    callbacks = SimpleNamespace(
        on_header=lambda name, value: headers.append((name.lower(), value)),
        on_headers_complete=lambda: ends.append(True),
    )
    parser = httptools.HttpRequestParser(callbacks)
    try:
        parser.feed_data(head[:-1])
        ended_before = bool(ends)
        parser.feed_data(head[-1:])
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    return headers if ends and not ended_before else None
