"""Clients that drip, never read or vanish, against a real server on a port: they go, the others notice nothing."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from service.http.app import handler_of
from service.http.fast.connection import Connection
from service.http.responses.sets import with_backpressure
from service.http.slow_clients import EVERY_S, WatchedProtocol
from service.settings import Settings
from tests.service.wires import Open

HEAD = b"POST /sample HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BIG = b'{"seed": 1, "n": 256, "scale": 16}'


@pytest.fixture
async def served(opened: Open) -> AsyncIterator[Any]:
    """`await served(settings)`: the port of a server, and its connections."""
    servers: list[tuple[uvicorn.Server, asyncio.Task[None]]] = []

    async def serve(settings: Settings, **options: Any) -> tuple[int, Any]:
        app = await opened(**options)
        made = WatchedProtocol(partial(Connection, handler_of=lambda: handler_of(app)), settings)
        watch = made.watch
        config = uvicorn.Config(app, http=made, ws="none", lifespan="off", log_config=None, access_log=False)  # type: ignore[arg-type]
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(config)
        servers.append((server, asyncio.create_task(server.serve(sockets=[listener]))))
        while not server.started:
            await asyncio.sleep(0.01)
        return listener.getsockname()[1], watch

    yield serve
    for server, task in servers:
        server.should_exit = server.force_exit = True
        await task


async def connect(port: int, said: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client with a small buffer, so that what it does not read stays with the server."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
    writer.write(said)
    return reader, writer


async def drip(port: int, start: bytes) -> None:
    """Send a byte every tenth of a second until the server has enough."""
    _, writer = await connect(port, start)
    with contextlib.suppress(ConnectionError):
        while not writer.transport.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.1)


STARTS = [b"", b"GET /", HEAD + b"X-A: ", HEAD + b"Content-Length: 4000\r\n\r\n{", HEAD.replace(b"sample", b"latents")]


async def test_fifty_slow_clients_go_and_the_others_notice_nothing(served: Any) -> None:
    """Dripping heads and bodies, answers nobody reads, connections that say nothing; meanwhile every request is answered."""
    port, watch = await served(
        Settings(request_timeout_s=3, unread_timeout_s=3, max_held_bytes=512 << 20, max_connections=1000)
    )
    drips = [asyncio.create_task(drip(port, STARTS[number % len(STARTS)])) for number in range(30)]
    silent = [await connect(port) for _ in range(16)]
    ask = HEAD + b"Accept: application/x-npy\r\nContent-Length: %d\r\n\r\n" % len(BIG) + BIG
    unread = [await connect(port, ask) for _ in range(4)]
    fresh = httpx.Limits(max_keepalive_connections=0)  # a kept connection may end as the next request is on its way
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, limits=fresh) as client:
        for seed in range(20):
            assert (await client.post("/sample", json={"seed": seed})).status_code == 200
            await asyncio.sleep(0.05)
        await asyncio.gather(*drips)
        async with asyncio.timeout(60):
            while len(watch.open) > 1 or sum(one.held for one in watch.open):
                await asyncio.sleep(0.1)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        assert (await client.post("/sample", json={"seed": 1})).status_code == 200
    for _, writer in silent + unread:
        writer.close()


async def test_an_answer_that_is_read_slowly_arrives_whole(served: Any) -> None:
    """Slow is not dead: who takes something in time gets everything."""
    port, _ = await served(
        Settings(request_timeout_s=30, unread_timeout_s=1, max_held_bytes=512 << 20, max_connections=10)
    )
    ask = HEAD + b"Accept: application/x-npy\r\nContent-Length: 28\r\n\r\n" + b'{"seed":1,"n":8, "scale":16}'
    reader, writer = await connect(port, ask)
    head = await reader.readuntil(b"\r\n\r\n")
    length, seen = int(head.lower().split(b"content-length: ")[1].split()[0]), 0
    while seen < length:
        part = await reader.read(128 << 10)
        assert part, f"cut after {seen} of {length} bytes"
        seen += len(part)
        await asyncio.sleep(0.02)
    writer.close()


async def test_a_long_computation_is_no_slow_client(served: Any) -> None:
    """While the server works the client's time stands still."""
    port, _ = await served(
        Settings(request_timeout_s=0.5, unread_timeout_s=0.5, max_held_bytes=512 << 20, max_connections=10), role="api"
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        answer = await client.post("/sample", json={"seed": 1, "timeout_ms": 3000})
        assert answer.status_code == 504


async def test_what_is_held_for_slow_clients_is_bounded(served: Any) -> None:
    """Long before their time is up: the answers of those that read nothing do not add up."""
    port, watch = await served(
        Settings(request_timeout_s=60, unread_timeout_s=60, max_held_bytes=100 << 20, max_connections=100)
    )
    ask = HEAD + b"Accept: application/x-npy\r\nContent-Length: %d\r\n\r\n" % len(BIG) + BIG
    for _ in range(6):
        await connect(port, ask)
    async with asyncio.timeout(60):
        while len(watch.open) > 4:
            assert sum(one.held for one in watch.open) < 200 << 20
            await asyncio.sleep(0.02)
        await asyncio.sleep(1.5 * EVERY_S)
        assert sum(one.held for one in watch.open) <= 100 << 20


async def test_of_a_set_nothing_is_read_ahead_for_who_does_not_read() -> None:
    """The second piece is made when the first is on its way; the answer is whole all the same."""
    made: list[int] = []

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            made.append(number)
            yield bytes(8 << 20)

    app = Starlette(routes=[Route("/", lambda _: StreamingResponse(with_backpressure(pieces())))])
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    reader, writer = await connect(
        listener.getsockname()[1], b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    await asyncio.sleep(1)
    assert made == [0]
    body = await reader.read()
    assert (made, body.count(0), body[-5:]) == ([0, 1, 2], 24 << 20, b"0\r\n\r\n")
    writer.close()
    server.should_exit = True
    await task


async def test_one_connection_too_many_is_told(served: Any) -> None:
    """503 with Retry-After as problem+json; a place that becomes free is given."""
    port, watch = await served(
        Settings(request_timeout_s=30, unread_timeout_s=30, max_held_bytes=512 << 20, max_connections=2)
    )
    first, second = await connect(port), await connect(port)
    reader, _ = await connect(port)
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in answer
    assert b"application/problem+json" in answer
    first[1].close()
    while len(watch.open) > 1:
        await asyncio.sleep(0.01)
    reader, writer = await connect(port, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    for end in (writer, second[1]):
        end.close()
