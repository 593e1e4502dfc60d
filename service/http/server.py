"""Running uvicorn: address, drain on SIGTERM, the sentence that says where to look."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from service.engine.catalogue import Opening
from service.http.app import build_app, handler_of
from service.http.fast.connection import Connection
from service.http.slow_clients import WatchedProtocol
from service.http.state import state_of
from service.operations.state import resolve_device
from service.processes.connection_sharing import ConnectionShare
from service.processes.group import children_of, process_count
from service.processes.supervisor import ChildFailedError, Supervisor
from service.settings import Settings

SPARE_FILES = 512
"""Open files beside those of clients: bundles, Redis, logs, child processes."""


class RefusedToStartError(Exception):
    """A setting that would make starting unsafe or impossible; the text says what to do."""


class Server(uvicorn.Server):
    """uvicorn with a drain: at SIGTERM `/readyz` turns 503 at once, and requests in flight are finished."""

    def __init__(
        self, config: uvicorn.Config, app: FastAPI, ready: Callable[[], object], share: ConnectionShare | None
    ) -> None:
        super().__init__(config)
        self._ganymede, self._ready, self._share = app, ready, share

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Mark the state as draining before uvicorn stops accepting."""
        if hasattr(self._ganymede.state, "ganymede"):
            state_of(self._ganymede).draining = True
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, say so, and take connections from the other processes."""
        await super().startup(sockets)
        if not self.should_exit:
            if self._share is not None:
                self._share.take(self._adopt)
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's, after the other processes were told."""
        if self._share is not None:
            self._share.leave()
        await super().shutdown(sockets)

    def _adopt(self, connection: socket.socket) -> None:
        """Another process's fresh connection becomes one of ours."""
        protocol: Any = self.config.http_protocol_class
        options = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
        loop = asyncio.get_running_loop()
        coming = loop.connect_accepted_socket(lambda: protocol(**options, settled=True), connection)
        task = loop.create_task(_unless_closed(coming))
        self.server_state.tasks.add(task)
        task.add_done_callback(self.server_state.tasks.discard)


async def _unless_closed(coming: Coroutine[Any, Any, object]) -> None:
    with contextlib.suppress(OSError):  # the client went away on the way
        await coming


def check(settings: Settings) -> None:
    """Raises RefusedToStartError for a public address without keys, unless that was asked for."""
    guarded = settings.role != "worker"  # a worker has only health and metrics
    if guarded and settings.listens_publicly and settings.api_keys_file is None and not settings.insecure:
        raise RefusedToStartError(
            f"refusing to listen on {settings.host} without API keys: set GANYMEDE_API_KEYS_FILE, "
            "or say --insecure if everyone who can reach this address may use it"
        )


def bind(settings: Settings, shared: bool = False) -> socket.socket:
    """The bound socket; `shared` lets several processes bind the port. Raises RefusedToStartError when it is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        raise RefusedToStartError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from None
    return listener


def serve(settings: Settings, ready: Callable[[str], None], opening: Opening | None = None) -> None:
    """Serve until SIGTERM or SIGINT. `ready` hears the address once it answers, `opening` of bundles as they are opened.

    Raises RefusedToStartError, or what building the state raises.
    """
    check(settings)
    if settings.role != "api":
        resolve_device(settings)
    if process_count(settings) > 1:
        serve_group(settings, ready, opening)
    else:
        listener = bind(settings)
        run(settings, listener, lambda: ready(address_of(listener)), opening=opening)


def serve_group(settings: Settings, ready: Callable[[str], None], opening: Opening | None = None) -> None:
    """One full process a core behind one port. Raises RefusedToStartError when they do not come up."""
    bind(settings).close()  # a port that another server shares would be bound without a word
    with bind(settings, shared=True) as reserved:  # bound and never listening: it gets no connection
        settings = settings.model_copy(update={"port": reserved.getsockname()[1]})

        def serve_one(own: Settings, up: Callable[[], object], share: ConnectionShare) -> None:
            run(own, bind(own, shared=True), up, share, None if own.process_index else opening)

        children = children_of(settings, serve_one)
        try:
            Supervisor(children, settings.drain_s, lambda: ready(address_of(reserved))).run()
        except ChildFailedError as error:
            raise RefusedToStartError(str(error)) from None


def run(
    settings: Settings,
    listener: socket.socket,
    ready: Callable[[], object],
    share: ConnectionShare | None = None,
    opening: Opening | None = None,
) -> None:
    """One server in this process until SIGTERM or SIGINT; `ready` is called when it answers."""
    app = build_app(settings, opening, None if share is None else share.release)
    allow_many_files(settings.max_connections)
    connections = partial(Connection, handler_of=lambda: handler_of(app), share=share)
    config = uvicorn.Config(
        app,
        http=cast(type[asyncio.Protocol], WatchedProtocol(connections, settings)),
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=int(settings.drain_s),
        timeout_keep_alive=30,
        backlog=2048,
    )
    server = Server(config, app, ready, share)
    server.run(sockets=[listener])


def allow_many_files(connections: int) -> None:
    """A connection is an open file: raise this process's own limit as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def address_of(listener: socket.socket) -> str:
    """Where a bound socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://{'[' + host + ']' if ':' in host else host}:{port}"
