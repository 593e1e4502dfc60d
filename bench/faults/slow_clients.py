"""`python -m bench.faults.slow_clients [COUNT]`: a normal client beside slow ones; p99, memory, and how long they last.

A third sends a byte a second, a third asks for 50 MB and reads nothing, a third vanishes half-way and comes again.
"""

import asyncio
import contextlib
import json
import socket
import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.end_to_end.processes import running

SECONDS, SHIPPED = 30, Path("models/exports")
HEAD = b"POST /sample HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/x-npy\r\n"
BIG = b'{"model": "fashion32", "seed": 1, "n": 256, "scale": 14}'


async def connect(port: int, said: bytes) -> asyncio.StreamWriter:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    _, writer = await asyncio.open_connection(sock=sock, limit=1024)
    writer.write(said)
    return writer


async def drip(port: int) -> None:
    writer = await connect(port, HEAD + b"Content-Length: 4000\r\n\r\n")
    while not writer.transport.is_closing():
        writer.write(b" ")
        await asyncio.sleep(1)


async def never_read(port: int) -> None:
    await connect(port, HEAD + b"Content-Length: %d\r\n\r\n" % len(BIG) + BIG)
    await asyncio.sleep(3600)


async def vanish(port: int) -> None:
    writer = await connect(port, HEAD + b"Content-Length: 4000\r\n\r\n{")
    await asyncio.sleep(0.5)
    writer.transport.abort()


async def again(kind: object, port: int) -> None:
    while True:
        with contextlib.suppress(OSError):
            await kind(port)  # type: ignore[operator]
        await asyncio.sleep(0.5)


async def p99_ms(url: str, seconds: float) -> tuple[float, float, int]:
    """p50 and p99 of one normal client in milliseconds, and how many answers were not 200."""
    times, wrong, end = [], 0, time.monotonic() + seconds
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        while time.monotonic() < end:
            began = time.perf_counter()
            answer = await client.post("/sample", json={"model": "fashion32", "seed": len(times)})
            times.append(time.perf_counter() - began)
            wrong += answer.status_code != 200
            await asyncio.sleep(0.02)
    times.sort()
    return times[len(times) // 2] * 1e3, times[int(len(times) * 0.99)] * 1e3, wrong


def memory_mb(process: int) -> int:
    """Resident memory of the server."""
    line = next(row for row in Path(f"/proc/{process}/status").read_text().splitlines() if row.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


async def measure(url: str, process: int, count: int) -> dict[str, object]:
    port = int(url.rsplit(":", 1)[1])
    before, idle_mb = await p99_ms(url, SECONDS / 2), memory_mb(process)
    kinds = (drip, never_read, vanish)
    tasks = [asyncio.create_task(again(kinds[number % 3], port)) for number in range(count)]
    await asyncio.sleep(2)
    peak = asyncio.create_task(highest(process))
    during = await p99_ms(url, SECONDS)
    peak.cancel()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    row = ("p50_ms", "p99_ms", "not_200")
    return {
        "slow_clients": count,
        "alone": dict(zip(row, before, strict=True)),
        "beside_them": dict(zip(row, during, strict=True)),
        "memory_mb": {"before": idle_mb, "highest": HIGHEST[0]},
    }


HIGHEST = [0]


async def highest(process: int) -> None:
    while True:
        HIGHEST[0] = max(HIGHEST[0], memory_mb(process))
        await asyncio.sleep(0.25)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), SHIPPED.absolute()) as (process, url):
        print(json.dumps(asyncio.run(measure(url, process.pid, count)), indent=1))


if __name__ == "__main__":
    main()
