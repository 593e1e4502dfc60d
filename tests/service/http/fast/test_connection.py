"""A connection below ASGI, by the calls that a loop makes: whose it is, what it keeps, when it ends."""

from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from service.http.fast.connection import MOST_HEAD_BYTES, Connection
from service.http.fast.heads import LINE
from service.http.uvicorn_protocol import UvicornProtocol

ASKED = LINE + b"Content-Length: 2\r\n\r\n"
OTHER = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Pipe:
    """A transport that remembers what it was told."""

    def __init__(self, peer: Any = ("10.0.0.1", 1)) -> None:
        self.told: list[str] = []
        end = SimpleNamespace(fileno=lambda: 42, getsockname=lambda: ("10.0.0.2", 80), getpeername=lambda: peer)
        self.sent, self.known = b"", {"peername": peer, "socket": end}

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.known.get(name, default)

    def write(self, data: bytes) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return "close" in self.told

    def __getattr__(self, name: str) -> Any:
        return lambda: self.told.append(name)


class Share:
    """That of a process in a group: gives away, or keeps, and ends as many as it is told."""

    def __init__(self, *, gives: bool = False, ends: bool = False) -> None:
        self.told: list[Any] = []
        self.gives, self.ends = gives, ends

    def hand_over(self, descriptor: int) -> bool:
        self.told.append(descriptor)
        return self.gives

    def release(self) -> bool:
        return self.ends

    def __getattr__(self, name: str) -> Any:
        return lambda: self.told.append(name)


class Handler:
    """Takes what begins like a request for a picture, and answers when it is told to."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.heads, self.refuses = self, refuses
        self.begun: list[tuple[Any, ...]] = []
        self.canceled = 0

    def read(self, head: bytes) -> Any:
        return SimpleNamespace(length=2) if head.startswith(LINE) else None

    def start(self, head: Any, body: bytes, caller: str, answer: Any) -> Any:
        if self.refuses:
            return None
        self.begun.append((body, caller, answer))
        return self

    def done(self) -> bool:
        return False

    def cancel(self) -> None:
        self.canceled += 1


Made = tuple[Connection, Any, Any, ServerState]


def made(handler: Handler | None = None, pipe: Pipe | None = None, **options: Any) -> Made:
    """A connection that was just made, its transport, its handler, and its server's state."""

    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    config = uvicorn.Config(app, log_config=None, ws="none", lifespan="off")
    config.load()
    state, pipe, handler = ServerState(), pipe or Pipe(), handler or Handler()
    state.default_headers = [(b"server", b"ours")]
    server = {"config": config, "server_state": state, "app_state": {}}
    connection = Connection(handler_of=lambda: handler, **server, **options)  # type: ignore[arg-type, return-value]
    connection.connection_made(pipe)  # type: ignore[arg-type]
    return connection, pipe, handler, state


def is_uvicorns(state: ServerState) -> bool:
    return [type(one) for one in state.connections] == [UvicornProtocol]


async def test_a_request_is_answered_and_the_next_one_too() -> None:
    """With the server's own headers, and counted; meanwhile the next thing is not up to the client."""
    connection, pipe, handler, state = made()
    for number in (1, 2):
        assert connection.awaits_client
        connection.data_received(ASKED)
        assert connection.awaits_client, "its body has not arrived"
        connection.data_received(b"{}")
        assert not connection.awaits_client
        body, caller, answer = handler.begun[-1]
        assert (len(handler.begun), body, caller) == (number, b"{}", "10.0.0.1")
        answer(200, b"a: b\r\n", b"picture")
        assert pipe.sent == b"HTTP/1.1 200 OK\r\nserver: ours\r\na: b\r\n\r\npicture"
        assert state.total_requests == number
        pipe.sent = b""
    assert pipe.told == []
    assert state.connections == {connection}


async def test_a_client_without_an_address_is_nobody() -> None:
    """As over a unix socket."""
    connection, _, handler, _ = made(pipe=Pipe(peer=None))
    connection.data_received(ASKED + b"{}")
    assert handler.begun[0][1] == ""


async def test_what_comes_meanwhile_waits() -> None:
    """It is answered afterwards; of more than a head's worth nothing is read until then."""
    connection, pipe, handler, _ = made()
    connection.data_received(ASKED + b"{}")
    connection.data_received(ASKED)
    assert pipe.told == []
    connection.data_received(bytes(MOST_HEAD_BYTES - len(ASKED)))
    assert pipe.told == []
    connection.data_received(b"x")
    assert pipe.told == ["pause_reading"]
    handler.begun[0][2](200, b"", b"")
    assert pipe.told[1] == "resume_reading"
    assert len(handler.begun) == 1, "what came is more than one request: it is uvicorn's"


@pytest.mark.parametrize("data", [OTHER, b"X", b"POST /sampleX", ASKED + b"{}" + ASKED, LINE + bytes(MOST_HEAD_BYTES)])
async def test_what_is_no_lone_request_for_a_picture_is_uvicorns(data: bytes) -> None:
    """At once; so is a head that does not end."""
    connection, _, handler, state = made()
    connection.data_received(data)
    assert is_uvicorns(state)
    assert not handler.begun


@pytest.mark.parametrize("data", [b"", b"P", LINE, LINE + bytes(MOST_HEAD_BYTES - len(LINE)), ASKED])
async def test_what_may_become_one_is_waited_for(data: bytes) -> None:
    """Byte by byte."""
    connection, _, _, state = made()
    connection.data_received(data)
    assert (state.connections, connection.awaits_client) == ({connection}, True)


async def test_what_the_handler_does_not_take_is_uvicorns() -> None:
    """All of it; from then on everything is told to uvicorn's protocol."""
    connection, _, _, state = made(Handler(refuses=True))
    connection.data_received(ASKED + b"{}")
    assert is_uvicorns(state)
    assert not connection.awaits_client, "the whole request has arrived there"
    (inner,) = state.connections
    told: list[Any] = []
    for name in ("data_received", "pause_writing", "resume_writing", "connection_lost"):
        setattr(inner, name, lambda *given, name=name: told.append((name, *given)))
    connection.data_received(b"more")
    connection.pause_writing()
    connection.resume_writing()
    error = OSError()
    connection.connection_lost(error)
    assert told == [("data_received", b"more"), ("pause_writing",), ("resume_writing",), ("connection_lost", error)]


async def test_without_a_handler_it_is_uvicorns_from_the_start() -> None:
    """Where keys or traces are asked for."""
    connection, _, _, state = made()
    connection = Connection(handler_of=lambda: None, **connection._make_uvicorns.keywords)
    state.connections.clear()
    connection.connection_made(Pipe())  # type: ignore[arg-type]
    assert is_uvicorns(state)
    assert connection.awaits_client


async def test_who_does_not_read_is_not_read() -> None:
    """Until it reads again."""
    connection, pipe, _, _ = made()
    connection.pause_writing()
    connection.resume_writing()
    assert pipe.told == ["pause_reading", "resume_reading"]


async def test_who_hangs_up_ends_its_request() -> None:
    """Once, and no other: an answered one is over."""
    connection, _, handler, state = made()
    connection.data_received(ASKED + b"{}")
    connection.connection_lost(None)
    assert (handler.canceled, state.connections) == (1, set())
    connection, _, handler, _ = made()
    connection.data_received(ASKED + b"{}")
    handler.begun[0][2](200, b"", b"")
    connection.connection_lost(None)
    assert handler.canceled == 0


@pytest.mark.parametrize(("data", "closed"), [(b"", True), (LINE, True), (ASKED, False), (ASKED + b"{}", False)])
async def test_a_drain_ends_who_has_not_asked(data: bytes, closed: bool) -> None:
    """Who has gets the answer first, and is told that it is the last."""
    connection, pipe, handler, _ = made()
    connection.data_received(data)
    connection.shutdown()
    assert ("close" in pipe.told) is closed
    if not closed:
        connection.data_received(b"{}"[: 2 if data == ASKED else 0])
        handler.begun[0][2](200, b"", b"")
        assert pipe.sent.endswith(b"connection: close\r\n\r\n")
        assert pipe.told == ["close"]


async def test_a_drain_reaches_what_becomes_uvicorns_later() -> None:
    """Its protocol is told, too."""
    connection, _, _, state = made()
    connection.data_received(LINE + b"X: y\r\nContent-Length: 9\r\n")
    connection._is_closing = True
    connection.data_received(b"\r\n")
    connection.data_received(b"0123456789")
    assert is_uvicorns(state)
    (inner,) = state.connections
    assert not inner.cycle.keep_alive  # type: ignore[union-attr]


@pytest.mark.parametrize("settled", [False, True])
async def test_a_group_counts_who_stays(settled: bool) -> None:
    """Fresh ones may go to another process; one that came from there stays."""
    share = Share()
    connection, *_ = made(share=share, settled=settled)
    assert share.told == ([] if settled else [42]) + ["opened"]
    connection.connection_lost(None)
    assert share.told[-1] == "closed"


async def test_who_is_handed_over_leaves_nothing() -> None:
    """This end is given up; it never counted here."""
    share = Share(gives=True)
    connection, pipe, _, state = made(share=share)
    assert (pipe.told, state.connections) == (["abort"], set())
    connection.connection_lost(None)
    assert share.told == [42]


@pytest.mark.parametrize("ends", [False, True])
async def test_a_group_may_end_a_connection_with_an_answer(ends: bool) -> None:
    """So that its client comes back as a fresh one."""
    connection, pipe, handler, _ = made(share=Share(ends=ends))
    connection.data_received(ASKED + b"{}")
    handler.begun[0][2](200, b"", b"")
    assert (b"connection: close" in pipe.sent, "close" in pipe.told) == (ends, ends)
