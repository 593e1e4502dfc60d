"""A normal client beside slow ones: p99 and memory, in rounds with and without them on the same machine.

`python -m bench.faults.slow_clients URL RESULT COUNT` is the crowd, a process of its own: of COUNT connections a third sends a
byte a second, a third asks for the 50 MB of RESULT and reads nothing, a third vanishes half-way and comes again.
"""

import asyncio
import contextlib
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import httpx
import numpy as np

from bench.faults.fleet import rss_mib
from bench.faults.page import Row
from service.settings import SHIPPED_BUNDLES
from tests.end_to_end.processes import running

HEAD = b"POST /sample HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n{"
LARGE = {"seed": 1, "n": 1030, "scale": 7}
"""A set of fashion32 whose array is 52 MB; made once, so that the crowd costs connections and not pictures."""
SETTLE_S = 40.0
"""Until the crowd stands: its first requests are work like any other."""
PAUSE_S = 0.02  # of the normal client between two requests


class Crowd:
    """COUNT slow connections to one server."""

    def __init__(self, url: str, result: str) -> None:
        self._port = int(url.rsplit(":", 1)[1])
        self._ask = f"GET {result} HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-npy\r\n\r\n".encode()

    async def stand_there(self, count: int) -> None:
        """All of them, until this process is killed."""
        kinds = (self.drip, self.never_read, self.vanish)
        await asyncio.gather(*(self.again(kinds[number % 3]) for number in range(count)))

    async def again(self, kind: Callable[[], Coroutine[None, None, None]]) -> None:
        """Come back whenever it is over."""
        while True:
            with contextlib.suppress(OSError):
                await kind()
            await asyncio.sleep(1)

    async def drip(self) -> None:
        """A byte a second for as long as the server has patience."""
        writer = await self.connect(HEAD)
        while not writer.transport.is_closing():
            writer.write(b" ")
            await asyncio.sleep(1)

    async def never_read(self) -> None:
        """Ask for 50 MB and take none."""
        writer = await self.connect(self._ask)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(60)

    async def vanish(self) -> None:
        """Be gone in the middle of a body."""
        writer = await self.connect(HEAD)
        await asyncio.sleep(1)
        writer.transport.abort()

    async def connect(self, said: bytes) -> asyncio.StreamWriter:
        """With a small buffer, so that what is not read stays with the server."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._port))
        _, writer = await asyncio.open_connection(sock=sock, limit=1024)
        writer.write(said)
        return writer


async def prepare(url: str) -> str:
    """Address of a large result."""
    async with httpx.AsyncClient(base_url=url, timeout=600) as client:
        job = (await client.post("/sample", json=LARGE)).json()
        while (await client.get(job["urls"]["self"])).json()["state"] != "succeeded":
            await asyncio.sleep(0.2)
    return str(job["urls"]["result"])


async def visit(url: str, seconds: float) -> tuple[list[float], int]:
    """Milliseconds of a normal client's answers, and how many were not 200."""
    times: list[float] = []
    wrong, end = 0, time.monotonic() + seconds
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        while time.monotonic() < end:
            began = time.perf_counter()
            wrong += (await client.post("/sample", json={"seed": len(times)})).status_code != 200
            times.append(1e3 * (time.perf_counter() - began))
            await asyncio.sleep(PAUSE_S)
    return times, wrong


async def highest(server: "subprocess.Popen[str]", readings: list[float]) -> None:
    """Resident memory, four times a second."""
    while True:
        readings.append(rss_mib(server))
        await asyncio.sleep(0.25)


@contextlib.contextmanager
def crowd_of(count: int, url: str, result: str) -> Iterator[None]:
    """So many slow clients, in a process and a session of their own, as if they sat elsewhere."""
    command = [sys.executable, "-m", "bench.faults.slow_clients", url, result, str(count)]
    crowd = subprocess.Popen(command, start_new_session=True)
    try:
        yield
    finally:
        crowd.kill()
        crowd.wait()


async def slow_clients(count: int, rounds: int = 2, seconds: float = 20.0) -> Row:
    """Rounds alone and beside the crowd, in turn, so that both see the same machine."""
    alone: list[float] = []
    beside: list[float] = []
    memory: list[float] = []
    wrong, idle = 0, 0.0
    bundle = SHIPPED_BUNDLES / "fashion32"
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), bundle) as (server, url):
        result = await prepare(url)
        for _ in range(rounds):
            times, failed = await visit(url, seconds)
            alone, wrong, idle = alone + times, wrong + failed, idle or rss_mib(server)
            watch = asyncio.create_task(highest(server, memory))
            with crowd_of(count, url, result):
                await asyncio.sleep(SETTLE_S)
                times, failed = await visit(url, seconds)
            beside, wrong = beside + times, wrong + failed
            watch.cancel()
            await asyncio.sleep(SETTLE_S / 4)
    (p50, p99), (p50_beside, p99_beside) = np.percentile(alone, [50, 99]), np.percentile(beside, [50, 99])
    note = f"p50 {p50:.0f} → {p50_beside:.0f} ms, p99 {p99:.0f} → {p99_beside:.0f} ms ({p99_beside / p99:.2f} times), "
    note += (
        f"{len(alone)} and {len(beside)} requests, {wrong} not answered 200; server {idle:.0f} → {max(memory):.0f} MiB"
    )
    return {"fault": f"{count} slow clients, {rounds} rounds of {seconds:g} s", "note": note}


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(Crowd(sys.argv[1], sys.argv[2]).stand_there(int(sys.argv[3])))
