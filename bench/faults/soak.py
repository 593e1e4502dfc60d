"""The soak: steady traffic for an hour at a rate that can be set, so that a shared machine can carry it."""

import asyncio
import random
import time
from collections import Counter

import httpx
import numpy as np

from bench.faults.fleet import Fleet, cpu_s, rss_mib
from bench.faults.scenarios import AWAY, Row

SOAK_BUNDLES = ("fashion32", "faces64", "mnist-gan")


async def soak(minutes: float, rate: float) -> Row:
    """Steady mixed traffic, `rate` requests a second; resident memory of API, worker and Redis over time."""
    with Fleet(workers=1, job_result_ttl_s="60", job_record_ttl_s="60") as fleet:
        answers: Counter[str] = Counter()
        readings: list[list[float]] = []
        async with httpx.AsyncClient(base_url=fleet.url, timeout=60) as client:
            traffic = asyncio.create_task(_traffic(client, rate, answers))
            began, cpu = time.monotonic(), cpu_s(fleet.processes)
            while time.monotonic() < began + 60 * minutes:
                await asyncio.sleep(min(30.0, 6 * minutes))
                readings.append([rss_mib(process) for process in fleet.processes])
            used = (cpu_s(fleet.processes) - cpu) / (time.monotonic() - began)
            traffic.cancel()
    note = f"MiB of API, worker, Redis: {_memory(np.asarray(readings), minutes)}; {100 * used:.0f} % of one core"
    name = f"soak, {minutes:g} min, {rate:g} requests/s"
    return {"fault": name, "ended": dict(answers), "note": note}


async def _traffic(client: httpx.AsyncClient, rate: float, answers: Counter[str]) -> None:
    """Every fifth request is a job; bundles in turn, 1 to 8 pictures."""
    rng, count, start = random.Random(7), 0, time.monotonic()
    async with asyncio.TaskGroup() as group:
        while True:
            body = {"model": SOAK_BUNDLES[count % 3], "n": rng.randint(1, 8)}
            headers = {"prefer": "respond-async"} if count % 5 == 4 else {}
            group.create_task(_one(client, body, headers, answers))
            count += 1
            await asyncio.sleep(max(0.0, start + count / rate - time.monotonic()))


async def _one(client: httpx.AsyncClient, body: dict[str, object], headers: dict[str, str], seen: Counter[str]) -> None:
    try:
        seen[str((await client.post("/sample", json=body, headers=headers)).status_code)] += 1
    except AWAY as error:
        seen[type(error).__name__] += 1


def _memory(readings: np.ndarray, minutes: float) -> str:
    """Each process at about seven moments, and the slope of a line through the second half."""
    shown = readings[np.linspace(0, len(readings) - 1, min(7, len(readings))).round().astype(int)]
    half = readings[len(readings) // 2 :]
    hours = np.linspace(0, minutes / 120, len(half))
    slopes = np.polyfit(hours, half, 1)[0] if len(half) > 1 else np.zeros(readings.shape[1])
    rows = [" ".join(f"{value:.1f}" for value in column) for column in shown.T]
    return ", ".join(
        f"{row} ({slope:+.1f} an hour in the second half)" for row, slope in zip(rows, slopes, strict=True)
    )
