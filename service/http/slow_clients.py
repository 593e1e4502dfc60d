"""Clients that send a byte a second, never read their answer, or vanish: what they may hold, and for how long.

Every connection is wrapped: the wrapper counts bytes in both directions, and once a second a watch looks at all of them. No
timer is started per request, so that a request costs two additions more.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

from service.errors import UnavailableError
from service.http.coalescing import CoalescingTransport
from service.http.problems import problem_bytes
from service.settings import Settings

log = logging.getLogger("ganymede.connections")
TOO_MANY = UnavailableError("too many connections; try again", headers={"Retry-After": "1"})
EVERY_S = 1.0
SLOWEST_BYTES_S = 32 << 10
"""A body that has begun may take a second longer for so many bytes of it: a megabyte takes half a minute at the slowest."""
PROGRESS_BYTES = 32 << 10
"""A client that takes fewer bytes of its answer in `unread_timeout_s` does not read it."""
LARGE_BYTES = 1 << 20
"""After an answer of so many bytes the total is looked at straight away."""


class CountingTransport(CoalescingTransport):
    """A transport that tells its connection how many bytes were written."""

    def __init__(self, transport: asyncio.Transport, connection: "WatchedConnection") -> None:
        super().__init__(transport, lambda: len(connection.watch.open) == 1)
        self._connection = connection

    def write(self, data: bytes) -> None:
        """Send; an answer has begun, so that the next request has all its time again."""
        self._connection.wrote(len(data))
        super().write(data)
        if len(data) >= LARGE_BYTES:
            self._connection.watch.bound_memory()


class WatchedConnection(asyncio.Protocol):
    """One connection: `received` bytes of the request that arrives since `since`, `written` bytes in all."""

    def __init__(self, inner: Any, watch: "Watch") -> None:
        self.inner, self.watch = inner, watch
        self.received = self.written = 0
        self.since: float
        self.taken = 0
        """Bytes the client had taken when it was last seen reading, at `taken_at`."""
        self.taken_at: float
        self.transport: asyncio.Transport | None = None
        self.is_accepted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let it in, or say that there are too many."""
        self.transport = transport
        self.since = self.taken_at = self.watch.now()
        if self.watch.is_full:
            transport.write(problem_bytes(TOO_MANY))
            transport.close()
            return
        self.is_accepted = True
        self.watch.add(self)
        self.transport = cast(asyncio.Transport, CountingTransport(transport, self))
        self.inner.connection_made(self.transport)

    def data_received(self, data: bytes) -> None:
        """Count, and pass on; what comes from a connection that was not let in is dropped."""
        if not self.is_accepted:
            return
        if not self.received:
            self.since = self.watch.now()
        self.received += len(data)
        self.inner.data_received(data)

    def pause_writing(self) -> None:
        """The inner protocol's affair."""
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        """The inner protocol's affair."""
        self.inner.resume_writing()

    def eof_received(self) -> Any:
        """The inner protocol's affair."""
        return self.inner.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        self.watch.open.discard(self)
        if self.is_accepted:
            self.inner.connection_lost(error)

    def cut(self) -> None:
        """End it now: politely, unless something lies unread that would keep it open."""
        if self.transport is not None:
            (self.transport.abort if self.unsent else self.transport.close)()

    def wrote(self, count: int) -> None:
        """An answer goes out."""
        if self.unsent == 0:
            self.taken, self.taken_at = self.written, self.watch.now()
        self.written += count
        self.received = 0

    @property
    def unsent(self) -> int:
        """Bytes of answers that wait for the client."""
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    @property
    def held(self) -> int:
        """Bytes kept for the client in either direction."""
        return self.unsent + self.received

    def extend(self, late_s: float) -> None:
        """Seconds in which the server itself did not get round to reading are not the client's."""
        self.since += late_s
        self.taken_at += late_s

    def is_too_slow(self, now: float, settings: Settings) -> bool:
        """Whether it has used up its time, with an answer to read or with a request to send."""
        unsent = self.unsent
        if unsent:
            if self.written - unsent - self.taken >= PROGRESS_BYTES:
                self.taken, self.taken_at = self.written - unsent, now
            return now - self.taken_at > settings.unread_timeout_s
        allowed = settings.request_timeout_s + self.received / SLOWEST_BYTES_S
        return bool(self.inner.awaits_client) and now - max(self.since, self.taken_at) > allowed


class Watch:
    """All connections of one process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.open: set[WatchedConnection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def now(self) -> float:
        """Seconds of the event loop's clock."""
        return asyncio.get_running_loop().time()

    @property
    def is_full(self) -> bool:
        """Whether no more connections are taken."""
        return len(self.open) >= self.settings.max_connections

    def add(self, connection: WatchedConnection) -> None:
        """One more; the first starts the clock."""
        self.open.add(connection)
        if self._timer is None:
            self._wait()

    def _wait(self) -> None:
        self._due = self.now() + EVERY_S
        self._timer = asyncio.get_running_loop().call_at(self._due, self._sweep)

    def _sweep(self) -> None:
        now = self.now()
        late, self._timer = now - self._due, None
        if self.open:
            self._wait()
        for connection in self.open:
            connection.extend(late)
        self._cut([one for one in self.open if one.is_too_slow(now, self.settings)], "too slow")
        self.bound_memory()

    def bound_memory(self) -> None:
        """Where all together hold too much, those go that took or sent nothing for longest."""
        excess, going = sum(one.held for one in self.open) - self.settings.max_held_bytes, []
        for connection in sorted(self.open, key=lambda one: one.taken_at) if excess > 0 else []:
            if excess <= 0:
                break
            excess -= connection.held
            if connection.held:
                going.append(connection)
        self._cut(going, "too much is held for slow clients")

    def _cut(self, connections: list[WatchedConnection], why: str) -> None:
        if connections:  # one line: a thousand that go together must not fill the log
            log.info("%d connections cut: %s", len(connections), why)
        for connection in connections:
            self.open.discard(connection)
            connection.cut()


class WatchedProtocol:
    """The protocol for uvicorn's configuration, with a watch over all its connections."""

    def __init__(self, protocol: Callable[..., Any], settings: Settings) -> None:
        self.watch = Watch(settings)
        self._protocol = protocol

    def __call__(self, **options: Any) -> WatchedConnection:
        """A connection; called by uvicorn and for adopted sockets."""
        return WatchedConnection(self._protocol(**options), self.watch)
