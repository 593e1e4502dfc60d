"""What stands before the replicas of a fleet: it passes connections on to whoever listens, as a TCP load balancer does."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine

CHUNK_BYTES = 64 << 10


class Balancer:
    """`async with Balancer(ports) as balancer:`; `ports` is asked for every connection, `url` is where clients go."""

    def __init__(self, ports: Callable[[], list[int]]) -> None:
        self._ports, self._turn = ports, itertools.count()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> "Balancer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exception: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both directions until either side ends; nobody listening ends it at once."""
        ports, first = self._ports(), next(self._turn)
        for place in range(len(ports)):
            with contextlib.suppress(OSError):
                behind = await asyncio.open_connection("127.0.0.1", ports[(first + place) % len(ports)])
                ways = (_pass_on(reader, behind[1]), _pass_on(behind[0], writer))
                await _until_one_ends(*ways)
                behind[1].close()
                break
        writer.close()


async def _until_one_ends(*ways: Coroutine[None, None, None]) -> None:
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:  # the balancer is closed; asyncio's streams would log it
        pass
    finally:
        for task in tasks:
            task.cancel()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
