"""uvicorn's HTTP protocol with a turn-off: what may be plain is held until its body is there, then answered by Express.

Everything else, and whatever Express gives back, is uvicorn's, as if nothing had been held. A request whose head was
answered before, and that comes alone and whole between two others, needs no parser.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.http.fast.handler import Errand, Express, Order
from service.http.fast.writes import OneWriteProtocol
from service.http.gate import lines_of
from service.processes.connection_sharing import Seat


class _NobodyWaits:
    """uvicorn wakes a cycle's task by this; a held request has no task."""

    def set(self) -> None:
        """Nothing to wake."""


class Held:
    """A request whose body is being read, or that Express is answering; to uvicorn it looks like a cycle of its own."""

    message_event = _NobodyWaits()

    def __init__(self, order: Order, before: Any, keep_alive: bool) -> None:
        self.order, self.before, self.keep_alive = order, before, keep_alive
        self.response_complete = self.disconnected = False
        self.body = bytearray()


class ExpressProtocol(OneWriteProtocol):
    """One connection. With a `seat` a fresh one may go to a neighbour; one that came from there is `settled`."""

    def __init__(
        self,
        *args: Any,
        express: Callable[[], Express | None],
        seat: Seat | None = None,
        settled: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self._express, self._seat, self._settled = express(), seat, settled
        self._gone = False
        self._between = True
        """Whether the parser stands between two requests, and nothing but plain ones went before."""
        self._held: Held | None = None
        self._errand: Errand | None = None

    @property
    def awaits_client(self) -> bool:
        """Whether a request has not begun, or not arrived whole."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        return self._held is not None if isinstance(self.cycle, Held) else self.cycle.more_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the connection, or give it to a neighbour who has fewer: then nothing of it happens here."""
        if self._seat is not None and not self._settled:
            self._gone = self._seat.hand_over(transport.get_extra_info("socket").fileno())
        if self._gone:
            transport.abort()
            return
        if self._seat is not None:
            self._seat.opened()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """A whole request with a known head goes to Express; everything else to the parser, and may be known next time."""
        between, self._between = self._between, False
        express = self._express if between and self._is_idle() else None
        if express is not None and (known := express.recall(data)) is not None:
            self._between = self._take_known(*known)
            if self._between:
                return
        super().data_received(data)
        if express is not None and self._between and isinstance(self.cycle, Held):
            express.remember(self.cycle.order, data)

    def on_message_begin(self) -> None:
        """The parser is inside a request now."""
        self._between = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hold what may be plain, unless an answer is still being made on this connection."""
        order = None
        if self._express is not None and self._is_idle():
            order = self._express.order(self.parser.get_method(), self.url, self.headers)
        if order is None:
            if self.parser.get_http_version() == "1.0":
                self.expect_100_continue = False  # RFC 9110, section 10.1.1: a client of 1.0 would not understand it
            super().on_headers_complete()
            return
        keep_alive = self.parser.get_http_version() == "1.1" and self.parser.should_keep_alive()
        self.cycle = self._held = Held(order, self.cycle, keep_alive)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """Keep it, or let uvicorn have it."""
        if self._held is None:
            super().on_body(body)
        else:
            self._held.body += body

    def on_message_complete(self) -> None:
        """Everything is there: let Express answer, or uvicorn after all."""
        held, self._held = self._held, None
        if held is None:
            super().on_message_complete()
            return
        if self._begin(held, bytes(held.body)):
            self._between = held.keep_alive
        else:
            self._give_back(held)
        held.before = None  # else a connection would remember all of its requests

    def connection_lost(self, exc: Exception | None) -> None:
        """A picture nobody waits for any more leaves the queue."""
        if self._gone:
            return
        if self._seat is not None:
            self._seat.closed()
        if self._errand is not None:
            self._errand.hang_up()
        super().connection_lost(exc)

    def _is_idle(self) -> bool:
        """Whether no answer is being made on this connection."""
        return self.cycle is None or self.cycle.response_complete

    def _take_known(self, order: Order, body: bytes) -> bool:
        """Without the parser, which learns nothing of it; False: nothing was done."""
        self._unset_keepalive_if_required()
        before, held = self.cycle, Held(order, None, keep_alive=True)
        self.cycle = held  # type: ignore[assignment]
        if not self._begin(held, body):
            self.cycle = before
        return self.cycle is not before

    def _begin(self, held: Held, body: bytes) -> bool:
        """Let Express answer; False: it is not plain after all."""
        assert self._express is not None
        caller = self.client[0] if self.client else ""
        errand = self._express.take(held.order, body, caller, partial(self._answer, held))
        if errand is not None and not held.response_complete:
            self._errand = errand
        return errand is not None

    def _give_back(self, held: Held) -> None:
        """The ordinary way, from the head on."""
        self.cycle = held.before
        super().on_headers_complete()
        self.cycle.keep_alive = self.cycle.keep_alive and held.keep_alive  # a drain may have begun meanwhile
        super().on_body(bytes(held.body))
        super().on_message_complete()

    def _answer(self, held: Held, status: int, head: bytes, body: bytes) -> None:
        """Send; `self.cycle` may by now be a later request that was sent before this answer."""
        held.response_complete, self._errand = True, None
        closing = b"" if held.keep_alive else b"connection: close\r\n"
        common = lines_of(self.server_state.default_headers)
        self.transport.write(b"".join((STATUS_LINE[status], common, head, closing, b"\r\n", body)))
        if not held.keep_alive:
            self.transport.close()
        self.on_response_complete()


def protocol_of(express: Callable[[], Express | None], seat: Seat | None = None) -> Any:
    """The protocol for uvicorn's configuration; `express` is asked at each connection."""
    return partial(ExpressProtocol, express=express, seat=seat)
