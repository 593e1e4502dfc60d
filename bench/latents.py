"""How saved latents behave in number: `python -m bench.latents --count 100000` fills a fresh store and measures it.

Writes docs/evidence/latents.md. Every figure is of one caller, end to end through the store (and once through HTTP).
"""

import argparse
import asyncio
import os
import platform
import random
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from fastapi import FastAPI
from redis.asyncio import Redis

from service.http.app import build_app
from service.http.state import state_of
from service.latents import Draft, LatentStore
from service.settings import Settings

OUT = Path(__file__).parent.parent / "docs" / "evidence" / "latents.md"
MODEL, DIGEST, SIZE = "faces64", "0123456789abcdef", 100
WRITERS = 16


@dataclass(frozen=True)
class Row:
    """One measured thing: milliseconds of every call, and processor milliseconds a call here and in Redis."""

    name: str
    ms: np.ndarray
    client_ms: float
    redis_ms: float


class Meter:
    """Times calls one after the other."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def __call__(self, name: str, call: Callable[[int], Awaitable[object]], count: int) -> Row:
        """`count` calls of `call(k)`, awaited one by one."""
        took = np.empty(count)
        client, server = time.process_time(), await self._server_s()
        for k in range(count):
            started = time.perf_counter()
            await call(k)
            took[k] = (time.perf_counter() - started) * 1e3
        client, server = time.process_time() - client, await self._server_s() - server
        return Row(name, took, client * 1e3 / count, server * 1e3 / count)

    async def _server_s(self) -> float:
        cpu = await self._redis.info("cpu")
        return float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])


def draft(k: int) -> Draft:
    vector = np.random.RandomState(k).standard_normal(SIZE).astype(np.float32)
    tags = (f"t{k % 7}", f"u{k % 3}")
    return Draft(f"face-{k:06d}", MODEL, DIGEST, vector, "seed", seed=k, tags=tags)


async def fill(store: LatentStore, count: int) -> float:
    """Save `count` latents from 16 callers at once; latents per second."""
    started = time.perf_counter()

    async def write(first: int) -> None:
        for k in range(first, count, WRITERS):
            await store.save(draft(k))

    await asyncio.gather(*(write(first) for first in range(WRITERS)))
    return count / (time.perf_counter() - started)


async def cursors(store: LatentStore) -> list[str]:
    """Places all over the list."""
    total = await store.count()
    return [str(random.randrange(60, total)) for _ in range(500)]


async def run(count: int, calls: int) -> tuple[list[Row], dict[str, float]]:
    folder = Path(tempfile.mkdtemp(prefix="gmd-bench-"))
    settings = Settings(data_dir=folder, bundles=(), role="api", max_latents_per_model=count + 10_000)
    app = build_app(settings)
    try:
        async with app.router.lifespan_context(app):
            return await _run(app, count, calls)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _run(app: FastAPI, count: int, calls: int) -> tuple[list[Row], dict[str, float]]:
    state = state_of(app)
    store = state.latents
    rate, measure = await fill(store, count), Meter(state.redis)
    places, names = await cursors(store), [f"face-{random.randrange(count):06d}" for _ in range(calls)]
    rows = [
        await measure("fetch by name", lambda k: store.get(names[k]), calls),
        await measure("newest page of 50", lambda k: store.page(), calls),
        await measure("page of 50 at a random place", lambda k: store.page(cursor=places[k % 500]), calls),
        await measure(
            "page of 50 by model and tag",
            lambda k: store.page(model=MODEL, tag=f"t{k % 7}", cursor=places[k % 500]),
            calls,
        ),
        await measure("prefix with 100 hits", lambda k: store.page(prefix=f"face-{k % 900:04d}", limit=50), calls),
        await measure("prefix with every hit", lambda k: store.page(prefix="face", limit=50), calls),
        await measure("save", lambda k: store.save(draft(count + k)), min(calls, 5000)),
        await measure("rename", lambda k: store.change(f"face-{count + k:06d}", new_name=f"new-{k}"), min(calls, 5000)),
    ]
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        rows.append(await measure("HTTP: GET /latents?limit=50", lambda k: client.get("/latents"), calls // 4))
        rows.append(
            await measure("HTTP: GET /latents/{name}", lambda k: client.get(f"/latents/{names[k]}"), calls // 4)
        )
    memory = (await state.redis.info("memory"))["used_memory"]
    version = (await state.redis.info("server"))["redis_version"]
    return rows, {"rate": rate, "bytes": memory / count, "version": version}


def report(rows: list[Row], facts: dict[str, float], count: int) -> str:
    lines = [
        "# Saved latents in number",
        "",
        f"`python -m bench.latents --count {count}`: {count:,} latents of {SIZE} float32 with two tags each, in the "
        f"embedded server (Redis protocol {facts['version']}), {platform.machine()}, one caller. Milliseconds; a minute's "
        f"load average before and after: {facts['load_before']:.1f} and {facts['load_after']:.1f} on {os.cpu_count()} "
        "cores, and what exceeds the processor columns was spent waiting for one.",
        "",
        "| what | calls | p50 | p99 | max | processor, here | processor, Redis |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        p50, p99 = np.percentile(row.ms, [50, 99])
        cpu = f"{row.client_ms:.2f} | {row.redis_ms:.2f}"
        lines.append(f"| {row.name} | {len(row.ms)} | {p50:.2f} | {p99:.2f} | {row.ms.max():.1f} | {cpu} |")
    lines += [
        "",
        f"Filling: {facts['rate']:.0f} latents a second from {WRITERS} callers. "
        f"Memory: {facts['bytes']:.0f} bytes a latent, indexes included.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.latents", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    random.seed(0)
    load_before = os.getloadavg()[0]
    rows, facts = asyncio.run(run(options.count, options.calls))
    facts |= {"load_before": load_before, "load_after": os.getloadavg()[0]}
    text = report(rows, facts, options.count)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
