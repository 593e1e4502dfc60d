"""Bodies that arrive compressed: gzip and deflate are taken apart piece by piece, so that a bomb stops at the body limit."""

import asyncio
import zlib
from collections.abc import Iterable, Iterator

from starlette.types import Message, Receive

from service.errors import MalformedError, UnsupportedEncodingError

WINDOWS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
"""Codings that are read, with zlib's window sizes: 31 expects gzip's frame, 15 that of RFC 1950."""
PIECE_BYTES = 256 << 10
"""What one message of a decoded body holds at most: half a millisecond of work, whatever the ratio."""


def coding_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The coding of a body; None for a plain one. Raises UnsupportedEncodingError for others and for two on top of each other."""
    listed = b",".join(value for name, value in headers if name == b"content-encoding").lower()
    codings = [part.strip() for part in listed.split(b",") if part.strip() not in {b"", b"identity"}]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in WINDOWS:
        raise UnsupportedEncodingError(
            "bodies are read plain, or as one of gzip and deflate",
            headers={"Accept-Encoding": "gzip, deflate", "Connection": "close"},  # RFC 9110, section 12.5.3
        )
    return codings[0]


def without_coding(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers as they would be had the body come plain: its length is not known ahead."""
    return [pair for pair in headers if pair[0] not in {b"content-encoding", b"content-length"}]


class Decoder:
    """One body. `feed` gives what compressed bytes stand for, in pieces of PIECE_BYTES."""

    def __init__(self, coding: bytes) -> None:
        self._coding = coding
        self._inflate = zlib.decompressobj(WINDOWS[coding])
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises MalformedError for what is not of this coding. A gzip body may have several members (RFC 1952)."""
        while data:
            if self._inflate.eof:
                if self._coding == b"deflate":
                    raise MalformedError("the body goes on after the end of its compressed data")
                self._inflate = zlib.decompressobj(WINDOWS[self._coding])
            if not self._begun and self._coding == b"deflate" and data[0] & 15 != 8:
                self._inflate = zlib.decompressobj(-15)  # some clients leave zlib's frame away
            self._begun = True
            try:
                piece = self._inflate.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise MalformedError(f"the body is not {self._coding.decode()}, as Content-Encoding says") from None
            data = self._inflate.unconsumed_tail or self._inflate.unused_data
            if piece:
                yield piece

    def finish(self) -> None:
        """Raises MalformedError when the data was cut off; no body at all is none."""
        if self._begun and not self._inflate.eof:
            raise MalformedError("the compressed body is cut off")


def decoded(receive: Receive, coding: bytes) -> Receive:
    """A receive that gives the plain body in pieces; who takes no more of them has not unpacked more."""
    decoder, ended = Decoder(coding), False
    pieces: Iterator[bytes] = iter(())

    async def plain() -> Message:
        nonlocal pieces, ended
        while True:
            for piece in pieces:
                await asyncio.sleep(0)  # a big body must not keep the loop from everybody else
                return {"type": "http.request", "body": piece, "more_body": True}
            if ended:
                decoder.finish()
                ended = False  # from here on only the end of the connection can come
                return {"type": "http.request", "body": b"", "more_body": False}
            message = await receive()
            if message["type"] != "http.request":
                return message
            pieces, ended = decoder.feed(message.get("body", b"")), not message.get("more_body", False)

    return plain
