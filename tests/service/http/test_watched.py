"""How long a connection may take, and what is kept for it: by a clock and a client of our own."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from service.http import slow_clients
from service.http.slow_clients import (
    LARGE_BYTES,
    PROGRESS_BYTES,
    SLOWEST_BYTES_S,
    Watch,
    WatchedConnection,
    WatchedProtocol,
)
from service.settings import Settings

LIMITS = Settings(request_timeout_s=10, unread_timeout_s=5, max_held_bytes=100 << 20, max_connections=3)


class Pipe:
    """A transport whose client reads when it is told to."""

    def __init__(self) -> None:
        self.unsent, self.said, self.ended = 0, b"", ""

    def write(self, data: bytes) -> None:
        self.unsent += len(data)
        self.said += data[:12]

    def writelines(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self.write(piece)

    def is_closing(self) -> bool:
        return bool(self.ended)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def get_extra_info(self, name: str) -> str:
        return name

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"


class Inner:
    """The protocol that is watched; remembers what it was told."""

    def __init__(self) -> None:
        self.awaits_client = True
        self.told: list[tuple[Any, ...]] = []
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def __getattr__(self, name: str) -> Any:
        return lambda *given: self.told.append((name, *given))


class Clocked(Watch):
    """A watch whose time stands still between two steps."""

    time = 1000.0

    def now(self) -> float:
        return self.time

    def _wait(self) -> None:
        self._due = self.time + slow_clients.EVERY_S


@pytest.fixture
async def watch() -> Clocked:
    return Clocked(LIMITS)


def opened(watch: Watch) -> tuple[WatchedConnection, Any]:
    connection, pipe = WatchedConnection(Inner(), watch), Pipe()
    connection.connection_made(pipe)  # type: ignore[arg-type]
    return connection, pipe


def is_too_slow(connection: WatchedConnection, after_s: float) -> bool:
    return connection.is_too_slow(1000.0 + after_s, LIMITS)


async def test_a_request_has_its_time_and_more_for_more_bytes(watch: Clocked) -> None:
    """From its first byte; while the server works nobody waits for the client."""
    connection, _ = opened(watch)
    assert [is_too_slow(connection, s) for s in (10, 10.1)] == [False, True], "nothing was ever said"
    watch.time += 8
    connection.data_received(b"x")
    watch.time += 1
    connection.data_received(bytes(2 * SLOWEST_BYTES_S - 1))
    assert [is_too_slow(connection, s) for s in (20, 20.1)] == [False, True], "two seconds more for two portions"
    connection.inner.awaits_client = False
    assert not is_too_slow(connection, 1000)


async def test_the_next_request_has_all_its_time_again(watch: Clocked) -> None:
    """Bytes and seconds of the one before are not its."""
    connection, pipe = opened(watch)
    connection.data_received(bytes(5 * SLOWEST_BYTES_S))
    watch.time += 20
    connection.inner.transport.write(b"answer")
    await asyncio.sleep(0)
    pipe.unsent = 0
    assert [is_too_slow(connection, s) for s in (30, 30.1)] == [False, True]
    watch.time += 7
    connection.data_received(b"x")
    assert [is_too_slow(connection, s) for s in (37, 37.1)] == [False, True]


async def test_who_reads_on_is_not_too_slow(watch: Clocked) -> None:
    """So many bytes in so many seconds, again and again; fewer are none."""
    connection, pipe = opened(watch)
    watch.time += 100
    connection.inner.transport.write(bytes(4 * PROGRESS_BYTES))
    connection.inner.transport.write(b"more")
    assert [is_too_slow(connection, s) for s in (105, 105.1)] == [False, True]
    pipe.unsent -= PROGRESS_BYTES
    assert not is_too_slow(connection, 104), "that is progress, seen at 104 s"
    pipe.unsent -= PROGRESS_BYTES - 1
    assert [is_too_slow(connection, s) for s in (109, 109.1)] == [False, True]


async def test_seconds_of_the_server_are_not_the_clients(watch: Clocked) -> None:
    """A server that was busy did not read."""
    connection, pipe = opened(watch)
    watch.time += 8
    connection.data_received(b"x")
    connection.extend(3)
    assert [is_too_slow(connection, s) for s in (21, 21.1)] == [False, True]
    watch.time -= 8
    connection, pipe = opened(watch)
    connection.extend(3)
    assert [is_too_slow(connection, s) for s in (13, 13.1)] == [False, True]
    connection.inner.transport.write(b"answer")
    await asyncio.sleep(0)
    assert pipe.unsent
    connection.extend(3)
    assert [is_too_slow(connection, s) for s in (8, 8.1)] == [False, True]


async def test_the_clock_goes_round_once_a_second(watch: Clocked, caplog: pytest.LogCaptureFixture) -> None:
    """The slow are cut in one line of the log, politely where nothing lies unread; the others stay."""
    caplog.set_level("INFO", "ganymede.connections")
    (_, silent), (_, deaf), (busy, works) = (opened(watch) for _ in range(3))
    busy.inner.awaits_client, deaf.unsent = False, 7
    watch._due = watch.time + 60
    watch.time += 60
    watch._sweep()
    assert (silent.ended, deaf.ended, works.ended) == ("closed", "aborted", "")
    assert caplog.messages == ["2 connections cut: too slow"]
    assert watch.open == {busy}


async def test_nobody_has_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first connection starts the clock, by the loop's own time."""
    monkeypatch.setattr(slow_clients, "EVERY_S", 0.01)
    _, pipe = opened(Watch(LIMITS.model_copy(update={"request_timeout_s": 0.0})))
    async with asyncio.timeout(10):
        while not pipe.ended:
            await asyncio.sleep(0.01)


async def test_a_server_that_was_late_forgives(watch: Clocked) -> None:
    """Half a minute in which the loop stood still is nobody's fault."""
    _, pipe = opened(watch)
    watch.time += 31
    watch._sweep()
    assert not pipe.ended
    watch.time += 11
    watch._sweep()
    assert not pipe.ended, "ten of the eleven seconds were the server's again"
    watch.time += 9
    watch._due = watch.time
    watch._sweep()
    assert pipe.ended == "closed"


async def test_too_much_kept_ends_the_longest_idle(watch: Clocked) -> None:
    """At once after a large answer; who keeps nothing stays, however idle."""
    idle, first, second = (opened(watch) for _ in range(3))
    for connection, pipe in (first, second):
        watch.time += 1
        connection.inner.transport.write(b"x")
        await asyncio.sleep(0)
        pipe.unsent = 0
    first[0].data_received(bytes(60 << 20))
    second[0].inner.transport.write(bytes(40 << 20))
    assert not first[1].ended, "a hundred megabytes are not too much"
    second[1].unsent += 1
    second[0].inner.transport.write(bytes(LARGE_BYTES - 1))
    assert not first[1].ended, "looked at after a large answer, else once a second"
    second[0].inner.transport.write(bytes(LARGE_BYTES))
    assert (idle[1].ended, first[1].ended, second[1].ended) == ("", "closed", "")
    assert watch.open == {idle[0], second[0]}


async def test_no_more_go_than_must(caplog: pytest.LogCaptureFixture) -> None:
    """The longest idle first, until what is left is not too much: exactly so much may be kept."""
    caplog.set_level("INFO", "ganymede.connections")
    for sizes, going in (((5, 6, 4), 1), ((5, 5, 6), 2), ((4, 3, 3), 0)):
        watch = Clocked(LIMITS.model_copy(update={"max_held_bytes": 10}))
        kept = []
        for size in sizes:
            watch.time += 1
            kept.append(opened(watch))
            kept[-1][0].data_received(bytes(size))
        watch.bound_memory()
        assert [pipe.ended for _, pipe in kept] == ["closed"] * going + [""] * (3 - going)
    assert caplog.messages == [f"{going} connections cut: too much is held for slow clients" for going in (1, 2)]


async def test_one_too_many_hears_so_and_nothing_else(watch: Clocked) -> None:
    """Its protocol never learns of it; a connection that ends makes room."""
    first, *_ = (opened(watch)[0] for _ in range(3))
    connection, pipe = opened(watch)
    assert (pipe.said, pipe.ended) == (b"HTTP/1.1 503", "closed")
    connection.data_received(b"GET / HTTP/1.1")
    connection.connection_lost(None)
    assert (connection.inner.told, connection.inner.transport) == ([], None)
    first.connection_lost(None)
    assert first.inner.told == [("connection_lost", None)]
    assert not opened(watch)[1].ended


async def test_everything_else_is_the_protocols_affair(watch: Clocked) -> None:
    """What the loop says is passed on, and the transport is the loop's but for counting."""
    connection, pipe = opened(watch)
    connection.data_received(b"abc")
    connection.pause_writing()
    connection.resume_writing()
    connection.eof_received()
    names = ["data_received", "pause_writing", "resume_writing", "eof_received"]
    assert [told[0] for told in connection.inner.told] == names
    assert connection.inner.transport.get_extra_info("socket") == "socket"
    assert (connection.held, pipe.unsent) == (3, 0)
    error = OSError()
    connection.connection_lost(error)
    assert connection.inner.told[-1] == ("connection_lost", error)


async def test_all_connections_of_a_process_have_one_watch() -> None:
    """What uvicorn calls to make one."""
    protocol = WatchedProtocol(lambda **options: SimpleNamespace(**options), LIMITS)
    first, second = protocol(config=1), protocol(config=2)
    assert first.watch is second.watch is protocol.watch
    assert (first.inner.config, second.inner.config, protocol.watch.settings) == (1, 2, LIMITS)
