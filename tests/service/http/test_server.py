"""How a server starts, what it refuses to start with, how it takes connections of others, how it ends."""

import asyncio
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn

from models.errors import RuntimeUnavailableError
from service.http import server as module
from service.http.app import build_app
from service.http.fast.connection import Connection
from service.http.server import RefusedToStartError, Server, address_of, allow_many_files, bind, check, run, serve
from service.http.slow_clients import WatchedProtocol
from service.processes.supervisor import ChildFailedError
from service.settings import Settings

PATIENCE = Settings(request_timeout_s=30, unread_timeout_s=30, max_held_bytes=1 << 20, max_connections=10)


@pytest.fixture
def settings(bundle_folder: Path, tmp_path: Path) -> Callable[..., Settings]:
    """Those of a server over the tiny bundles, on any free port."""
    known = {"bundles": (bundle_folder,), "data_dir": tmp_path / "data", "threads": 1, "default_model": "tiny"}
    return lambda **options: Settings(**{**known, "port": 0, "processes": 1, **options})


@pytest.fixture
def harmless() -> Iterator[None]:
    """SIGTERM is for the server: what it hands on afterwards does not end the tests."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_public_address_needs_keys_or_a_word(tmp_path: Path) -> None:
    """A worker has nothing to protect; loopback is one's own."""
    keys = tmp_path / "keys.toml"
    fine: list[dict[str, Any]] = [{}, {"api_keys_file": keys}, {"insecure": True}, {"role": "worker"}]
    for options in fine:
        check(Settings(host="127.0.0.1" if not options else "0.0.0.0", **options))
    for role in ("all", "api"):
        with pytest.raises(
            RefusedToStartError, match=r"refusing to listen on 0\.0\.0\.0 without API keys: set GANYMEDE_"
        ):
            check(Settings(host="0.0.0.0", role=role))


def test_a_taken_port_is_said(settings: Callable[..., Settings]) -> None:
    """Unless both mean to share it; an address of version 6 stands in brackets."""
    with bind(settings()) as held:
        held.listen()
        port = held.getsockname()[1]
        assert address_of(held) == f"http://127.0.0.1:{port}"
        for shared in (False, True):
            with pytest.raises(RefusedToStartError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
                bind(settings(port=port), shared=shared)
    with bind(settings(), shared=True) as first, bind(settings(port=first.getsockname()[1]), shared=True) as second:
        assert first.getsockname() == second.getsockname()
    with bind(settings(port=port)) as again:
        assert again.getsockname()[1] == port, "a port is free at once"
    with bind(settings(host="::1")) as six:
        assert address_of(six) == f"http://[::1]:{six.getsockname()[1]}"


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        (1024, 4096, (1512, 4096)),
        (1024, resource.RLIM_INFINITY, (1512, resource.RLIM_INFINITY)),
        (1024, 1200, (1200, 1200)),
        (1511, 1511, None),
        (1512, 4096, None),
        (1024, 1024, None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None),
    ],
)
def test_connections_may_be_open_files(
    soft: int, hard: int, expected: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many more as the system lets it; a limit that is high enough stays."""
    told: list[Any] = [None]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, pair: told.append(pair))
    allow_many_files(1000)
    assert told[-1] == expected


def test_a_server_answers_until_it_is_told_to_end(settings: Callable[..., Settings], harmless: None) -> None:
    """It says where it is once it answers; it names no software; bundles are told as they are opened."""
    answers, opened = [], []

    def ask(address: str) -> None:
        try:
            with httpx.Client(base_url=address, timeout=60) as client:
                answers.extend([client.get("/readyz"), client.post("/sample", json={"seed": 1})])
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    asking: list[threading.Thread] = []

    def ready(address: str) -> None:
        asking.append(threading.Thread(target=ask, args=(address,)))
        asking[0].start()

    serve(settings(), ready, lambda done, total: opened.append((done, total)))
    asking[0].join()
    assert [answer.status_code for answer in answers] == [200, 200]
    assert all("server" not in answer.headers for answer in answers)
    assert (1, 1) in opened, "the default one, before the others"
    with pytest.raises(httpx.ConnectError):
        httpx.get(str(answers[0].url))


def test_a_kept_connection_may_rest_half_a_minute(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A burst of connections waits its turn; the drain is the setting's; what is said of a request is said once."""
    made: list[Any] = []

    class Quiet(Server):
        def run(self, sockets: Any = None) -> None:
            made.extend([self.config, sockets, self._ganymede, self._ready, self._share])

    built: list[Any] = []

    def builds(*given: Any) -> Any:
        built.append(given)
        return build_app(*given)

    monkeypatch.setattr(module, "Server", Quiet)
    monkeypatch.setattr(module, "build_app", builds)
    listener, ready, share = socket.socket(), lambda: None, Share()
    run(settings(drain_s=7.5, max_connections=11), listener, ready, share)  # type: ignore[arg-type]
    config, (chosen, opening, ends) = made[0], built[0]
    assert (chosen.max_connections, opening, ends) == (11, None, share.release), "the gate ends what are too many, too"
    assert (config.timeout_keep_alive, config.timeout_graceful_shutdown, config.backlog) == (30, 7, 2048)
    assert (config.ws, config.access_log, config.log_config, config.server_header) == ("none", False, None, False)
    assert made[1:] == [[listener], config.app, ready, share]
    assert config.http.watch.settings.max_connections == 11
    state = uvicorn.server.ServerState()
    connection = config.http(config=config, server_state=state, app_state={}).inner
    assert (type(connection), connection._share, connection._handler) == (Connection, share, None)
    listener.close()


def test_what_is_served_by_one_and_by_many(settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    """One process listens itself. The device that was asked for is looked for first; an API process has none."""
    told: list[Any] = []
    heard: list[str] = []
    monkeypatch.setattr(module, "run", lambda *given, **named: told.append((given, named)))
    monkeypatch.setattr(module, "serve_group", lambda *given: told.append(given))
    opening, one, two = lambda done, total: None, settings(), settings(processes=2)
    serve(one, heard.append, opening)
    (given, named) = told[0]
    assert (given[0], named) == (one, {"opening": opening})
    given[2]()
    assert heard == [address_of(given[1])]
    given[1].close()
    serve(two, heard.append, opening)
    assert told[1] == (two, heard.append, opening)
    elsewhere = settings(provider="cuda", runtime="onnx")
    with pytest.raises(RuntimeUnavailableError, match="provider 'cuda' was asked for"):
        serve(elsewhere, heard.append)
    serve(elsewhere.model_copy(update={"role": "api"}), heard.append)
    assert len(told) == 3
    told[2][0][1].close()
    with pytest.raises(RefusedToStartError):
        serve(settings(host="0.0.0.0"), heard.append)


def test_a_group_shares_one_port(settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process binds it for itself, the first tells of the bundles; who does not come up is told."""
    heard: list[str] = []
    ran: list[Any] = []
    fails = [False]

    def listens(*given: Any) -> None:
        ran.append(given)
        given[1].listen()

    class Group:
        def __init__(self, children: Any, drain_s: float, ready: Any) -> None:
            (self.own, self.serve_one), self.ready = children, ready

        def run(self) -> None:
            if fails[0]:
                raise ChildFailedError("server 1 did not start")
            for index in (0, 1):
                own = self.own.model_copy(update={"process_index": index})
                self.serve_one(own, self.ready, f"share {index}")
            self.ready()

    monkeypatch.setattr(module, "children_of", lambda own, serve_one: [own, serve_one])
    monkeypatch.setattr(module, "Supervisor", Group)
    monkeypatch.setattr(module, "run", listens)
    opening = lambda done, total: None  # noqa: E731
    module.serve_group(settings(processes=2), heard.append, opening)
    ports = {given[1].getsockname()[1] for given in ran} | {given[0].port for given in ran}
    assert len(ports) == 1
    assert [given[3:] for given in ran] == [("share 0", opening), ("share 1", None)]
    for given in ran:
        given[1].close()
    assert heard == [f"http://127.0.0.1:{ports.pop()}"]
    fails[0] = True
    with pytest.raises(RefusedToStartError, match="server 1 did not start"):
        module.serve_group(settings(processes=2), heard.append)
    with bind(settings()) as held:
        held.listen()
        with pytest.raises(RefusedToStartError, match="cannot listen"):
            module.serve_group(settings(processes=2, port=held.getsockname()[1]), heard.append)


class Share:
    """That of a process in a group."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def take(self, adopt: Any) -> None:
        self.told.append(adopt)

    def leave(self) -> None:
        self.told.append("left")

    def opened(self) -> None: ...

    def closed(self) -> None: ...

    def release(self) -> bool:
        return False


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """An application that says yes."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
        await send({"type": "http.response.body", "body": b"yes"})


def server_of(share: Any, said: list[str]) -> Server:
    protocol: Any = WatchedProtocol(partial(Connection, handler_of=lambda: None, share=share), PATIENCE)
    config = uvicorn.Config(answering, http=protocol, ws="none", lifespan="off", log_config=None)
    config.load()
    server = Server(config, SimpleNamespace(state=SimpleNamespace()), lambda: said.append("ready"), share)  # type: ignore[arg-type]
    server.lifespan = config.lifespan_class(config)
    return server


async def test_a_connection_of_another_process_is_answered_here() -> None:
    """From when this one listens until it drains; one whose client has gone on the way is no fault."""
    share = Share()
    said: list[str] = []
    server: Any = server_of(share, said)
    listener = socket.create_server(("127.0.0.1", 0))
    await server.startup(sockets=[listener])
    assert (said, len(share.told)) == (["ready"], 1)
    ours, theirs = socket.socketpair()
    share.told[0](theirs)
    assert len(server.server_state.tasks) == 1
    ours.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(ours, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(10):
        answer = b""
        while part := await loop.sock_recv(ours, 4096):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert not server.server_state.tasks
    closed = socket.socket()
    closed.close()
    share.told[0](closed)
    while server.server_state.tasks:
        await asyncio.sleep(0.001)
    await server.shutdown(sockets=[listener])
    assert share.told[1:] == ["left"]
    ours.close()


async def test_a_server_that_is_told_to_end_while_it_starts_is_not_ready() -> None:
    """It says nothing and takes nothing."""
    share = Share()
    said: list[str] = []
    server: Any = server_of(share, said)

    async def is_told_to_end() -> None:
        server.should_exit = True

    server.lifespan.startup = is_told_to_end
    await server.startup(sockets=[])
    assert (said, share.told) == ([], [])


async def test_a_lone_server_listens_and_ends() -> None:
    """Without a group."""
    said: list[str] = []
    server: Any = server_of(None, said)
    listener = socket.create_server(("127.0.0.1", 0))
    await server.startup(sockets=[listener])
    assert said == ["ready"]
    await server.shutdown(sockets=[listener])
    assert listener.fileno() == -1


def test_a_signal_turns_new_work_away() -> None:
    """At once, before the server stops taking connections; also while it is only starting."""
    server: Any = server_of(None, [])
    server.handle_exit(signal.SIGTERM, None)
    assert (server.should_exit, server.force_exit) == (True, False)
    server = server_of(None, [])
    server._ganymede.state.ganymede = SimpleNamespace(draining=False)
    server.handle_exit(signal.SIGTERM, None)
    assert (server._ganymede.state.ganymede.draining, server.should_exit) == (True, True)
    server.handle_exit(signal.SIGINT, None)
    assert server.force_exit
