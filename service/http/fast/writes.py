"""HTTP answers in one system call: uvicorn writes head and body apart, and each write wakes the client."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_BYTES = 64 << 10
"""More than this is written at once: a copy would cost more than a call, and a stream must feel its client's pace."""


class JoinedTransport:
    """A transport that keeps small writes until the event loop's next turn and sends them together."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []
        self._bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send soon, in order."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)
        self._bytes += len(data)
        if self._bytes > MOST_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what is kept."""
        parts, self._parts = self._parts, []
        few, self._bytes = self._bytes <= MOST_BYTES, 0
        for data in [b"".join(parts)] if few and parts else parts:
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether the connection is being closed."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Send what is kept, then close."""
        self.flush()
        self._transport.close()


class OneWriteProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol over a JoinedTransport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wrap the transport before anything is written."""
        super().connection_made(cast(asyncio.Transport, JoinedTransport(transport, self.loop)))
