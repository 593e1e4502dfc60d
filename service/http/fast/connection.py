"""A connection before uvicorn: answers what the fast way can, and hands itself over to uvicorn at the first other request.

From then on it is uvicorn's, whose protocol is given every byte that was not answered here. To uvicorn's server it is
one of its own protocols: made by `Config(http=…)`, listed in `server_state.connections`, told of a drain by `shutdown()`.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from service.http.fast.handler import PictureRequest, SampleHandler
from service.http.fast.heads import END, LINE, Head
from service.http.security_headers import lines_of
from service.http.uvicorn_protocol import UvicornProtocol
from service.processes.connection_sharing import ConnectionShare

MOST_HEAD_BYTES = 16 << 10  # an unfinished head of more bytes is uvicorn's affair


class Connection(asyncio.Protocol):
    """With a `share` a fresh connection may go to another process; one that came from there is `settled`."""

    def __init__(
        self,
        *,
        handler_of: Callable[[], SampleHandler | None],
        share: ConnectionShare | None = None,
        settled: bool = False,
        **uvicorns: Any,  # what its server makes its own protocol of
    ) -> None:
        self._make_uvicorns = partial(UvicornProtocol, **uvicorns)
        self._server_state = uvicorns["server_state"]
        self._handler, self._share, self._settled, self._is_gone = handler_of(), share, settled, False
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # until there is one
        self._uvicorn: UvicornProtocol | None = None
        self._data, self._is_busy, self._is_closing = b"", False, False
        self._request: PictureRequest | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the connection, or give it to a process that has fewer: then nothing of it happens here."""
        if self._share is not None and not self._settled:
            self._is_gone = self._share.hand_over(transport.get_extra_info("socket").fileno())
        if self._is_gone:
            transport.abort()
            return
        if self._share is not None:
            self._share.opened()
        self._transport = transport
        self._server_state.connections.add(self)
        if self._handler is None:
            self._pass_on()

    @property
    def awaits_client(self) -> bool:
        """Whether the next thing is up to the client: a request has not begun, or not arrived whole."""
        return not self._is_busy if self._uvicorn is None else self._uvicorn.awaits_client

    def data_received(self, data: bytes) -> None:
        """Answer, keep until the answer before it is sent, or pass on."""
        if self._uvicorn is not None:
            self._uvicorn.data_received(data)
            return
        self._data += data
        if not self._is_busy:
            self._serve()
        elif len(self._data) > MOST_HEAD_BYTES:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """The client does not read: it is not read either."""
        (self._transport.pause_reading if self._uvicorn is None else self._uvicorn.pause_writing)()

    def resume_writing(self) -> None:
        """It reads again."""
        (self._transport.resume_reading if self._uvicorn is None else self._uvicorn.resume_writing)()

    def connection_lost(self, exc: Exception | None) -> None:
        """A picture nobody waits for any more leaves the queue."""
        if self._is_gone:
            return
        if self._share is not None:
            self._share.closed()
        if self._uvicorn is not None:
            self._uvicorn.connection_lost(exc)
        self._server_state.connections.discard(self)
        if self._request is not None:
            self._request.cancel()

    def shutdown(self) -> None:
        """The server drains: finish the request that has begun to arrive, then close."""
        self._is_closing = True
        if not self._is_busy and END not in self._data:
            self._transport.close()

    def _serve(self) -> None:
        """Answer the one request that has arrived, wait for its rest, or pass on."""
        end = self._data.find(END) + len(END)
        if end < len(END):
            if not LINE.startswith(self._data[: len(LINE)]) or len(self._data) > MOST_HEAD_BYTES:
                self._pass_on()
            return
        head = self._handler.heads.read(self._data[:end]) if self._handler is not None else None
        missing = 0 if head is None else end + head.length - len(self._data)
        if head is not None and missing == 0:
            self._begin(head, end)
        elif missing <= 0:  # another kind of request, or several at once
            self._pass_on()

    def _begin(self, head: Head, end: int) -> None:
        assert self._handler is not None
        data, self._data, self._is_busy = self._data, b"", True
        peer = self._transport.get_extra_info("peername")
        request = self._handler.start(head, data[end:], peer[0] if peer else "", self._answer)
        if request is None:
            self._data, self._is_busy = data, False
            self._pass_on()
        elif not request.done():
            self._request = request

    def _answer(self, status: int, head: bytes, body: bytes) -> None:
        """Send; then close, or serve what has arrived meanwhile."""
        self._request, self._is_busy = None, False
        self._is_closing = self._is_closing or (self._share is not None and self._share.release())
        first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
        common = lines_of(self._server_state.default_headers)
        end = b"connection: close\r\n\r\n" if self._is_closing else b"\r\n"
        self._transport.write(b"".join((first, common, head, end, body)))
        self._server_state.total_requests += 1
        if self._is_closing:
            self._transport.close()
        elif self._data:
            self._transport.resume_reading()
            self._serve()

    def _pass_on(self) -> None:
        """From here on the connection is uvicorn's."""
        data, self._data = self._data, b""
        self._transport.resume_reading()
        self._server_state.connections.discard(self)
        self._uvicorn = self._make_uvicorns()
        self._uvicorn.connection_made(self._transport)
        if data:
            self._uvicorn.data_received(data)
        if self._is_closing:
            self._uvicorn.shutdown()
