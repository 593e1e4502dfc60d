"""A load generator cheap enough not to be the bottleneck: HTTP/1.1 over kept-alive loopback connections, bounded."""

import asyncio
import contextlib
import random
import resource
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

Next = Callable[[], tuple[bytes, int]]
"""Gives the bytes of the next request and how many pictures it asks for."""


@dataclass
class Tally:
    """What one run of load saw. Latencies are seconds of answers with status 200, by arrival.

    `pictures` were made within the measured time: a request at one of its edges counts by the share of its own time that lies
    inside, so that a few large requests are not counted by whole ones. `answered_pictures` are all of them.
    """

    seconds: float = 0.0
    pictures: float = 0.0
    answered_pictures: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)
    retry_after: list[float] = field(default_factory=list)
    not_sent: int = 0
    client_cpu_s: float = 0.0

    @property
    def pictures_per_s(self) -> float:
        return self.pictures / self.seconds if self.seconds else 0.0

    def percentile(self, q: float, of: list[float] | None = None) -> float:
        """Seconds below which a share `q` of the answers came; NaN without answers."""
        values = sorted(self.latencies if of is None else of)
        return values[min(len(values) - 1, int(q * len(values)))] if values else float("nan")


class Connection(asyncio.Protocol):
    """One kept-alive connection that carries one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[int] | None = None
        self._buffer = bytearray()
        self._body_end = -1
        self._status = 0
        self._chunked = False
        self.is_kept = True
        """False once an answer said that it was the last one here."""
        self.retry_after = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class does not inherit from asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(0)

    async def ask(self, request: bytes) -> int:
        """Send a request and wait for the whole answer; its status, or 0 for a connection that broke."""
        if self.transport is None:
            return 0
        self._buffer.clear()
        self._body_end = -1
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._waiter

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._body_end < 0 and not self._read_head():
            return
        whole = self._buffer.endswith(b"0\r\n\r\n") if self._chunked else len(self._buffer) >= self._body_end
        if whole and self._waiter and not self._waiter.done():
            self._waiter.set_result(self._status)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._buffer[:end]).lower()
        self._status = int(head[9:12])
        self._chunked = b"transfer-encoding: chunked" in head
        self.is_kept = b"\r\nconnection: close" not in head
        self.retry_after = _header(head, b"retry-after:")
        self._body_end = end + 4 + int(_header(head, b"content-length:") or 0)
        return True


def _header(head: bytes, name: bytes) -> str:
    at = head.find(b"\r\n" + name)
    return "" if at < 0 else head[at + 2 + len(name) : (head + b"\r\n").find(b"\r\n", at + 2)].decode().strip()


async def connect(port: int) -> Connection:
    """A connection to the loopback address."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection


async def closed_loop(port: int, following: Next, callers: int, warm_s: float, seconds: float) -> Tally:
    """`callers` connections that each send the next request as soon as the last one is answered."""
    tally = Tally()
    begin = time.perf_counter() + warm_s
    end = begin + seconds

    async def caller() -> None:
        connection = await connect(port)
        while (sent := time.perf_counter()) < end:
            request, pictures = following()
            status = await connection.ask(request)
            _count(tally, connection, status, pictures, sent, begin, end)
            if status == 0 or not connection.is_kept:
                connection = await _again(port)
            elif status == 429:
                await asyncio.sleep(0.05)
        if connection.transport:
            connection.transport.close()

    with _clock(tally):
        await asyncio.gather(*(caller() for _ in range(callers)))
    tally.seconds = seconds
    return tally


async def open_loop(
    port: int, following: Next, per_s: float, warm_s: float, seconds: float, most: int = 512, seed: int = 0
) -> Tally:
    """Poisson arrivals at `per_s` requests a second; latency counts from the arrival, however late it was sent.

    At most `most` requests are out at once; an arrival that finds none free is counted as not sent.
    """
    tally, rng = Tally(), random.Random(seed)
    idle: deque[Connection] = deque()
    running: set[asyncio.Task[None]] = set()
    begin = time.perf_counter() + warm_s
    end = begin + seconds

    async def one(due: float, request: bytes, pictures: int) -> None:
        connection = idle.popleft() if idle else await connect(port)
        status = await connection.ask(request)
        _count(tally, connection, status, pictures, due, begin, end)
        if status and connection.is_kept:
            idle.append(connection)

    with _clock(tally):
        due = time.perf_counter()
        while due < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            request, pictures = following()
            if len(running) >= most:
                tally.not_sent += due >= begin
            else:
                task = asyncio.create_task(one(due, request, pictures))
                running.add(task)
                task.add_done_callback(running.discard)
            due += rng.expovariate(per_s)
        await asyncio.wait(running, timeout=10) if running else None
        for task in running:
            task.cancel()
    for connection in idle:
        if connection.transport:
            connection.transport.close()
    tally.seconds = seconds
    return tally


def _count(
    tally: Tally, connection: Connection, status: int, pictures: int, since: float, begin: float, end: float
) -> None:
    now = time.perf_counter()
    if not begin <= now:
        return
    if now <= end:
        tally.statuses[status] += 1
    if status == 200:
        tally.latencies.append(now - since)
        tally.answered_pictures += pictures
        tally.pictures += pictures * max(0.0, min(now, end) - max(since, begin)) / max(now - since, 1e-9)
    elif status == 429:
        tally.refusals.append(now - since)
        with contextlib.suppress(ValueError):
            tally.retry_after.append(float(connection.retry_after))


async def _again(port: int) -> Connection:
    while True:
        with contextlib.suppress(OSError):
            return await connect(port)
        await asyncio.sleep(0.05)


@contextlib.contextmanager
def _clock(tally: Tally) -> Iterator[None]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    before = used.ru_utime + used.ru_stime
    yield
    used = resource.getrusage(resource.RUSAGE_SELF)
    tally.client_cpu_s = used.ru_utime + used.ru_stime - before
