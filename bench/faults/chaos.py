"""Chaos: two API replicas, three workers and Redis, killed at random under traffic and started again by a supervisor.

Clients are ours (`ganymede_client`), behind a load balancer. Every accepted job must succeed with the right pixels;
immediate requests must be answered, by the client's own retries.
"""

import asyncio
import hashlib
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from subprocess import Popen

import numpy as np

from bench.faults.balancer import Balancer
from bench.faults.fleet import Fleet, kill
from bench.faults.page import Row
from ganymede_client import AsyncClient, GanymedeError, JobFailedError, Pictures, ServerError, calls
from service.settings import SHIPPED_BUNDLES

REPLICAS, WORKERS, PICTURES, COMPARED = 2, 3, 8, 1000
CALM_S = 300.0
"""After the last kill so long is waited for the jobs that are left."""
AT_ONCE = 200  # requests of one kind under way: a visitor who gets no answer does not come twice


@dataclass
class Seen:
    """What the clients saw: pixels of finished jobs by seed, ends of jobs, immediate answers and their seconds."""

    pixels: dict[int, str] = field(default_factory=dict)
    jobs: Counter[str] = field(default_factory=Counter)
    immediate: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Place:
    """One process that may be killed, and how its successor is started."""

    kind: str
    process: Callable[[], "Popen[bytes] | None"]
    start: Callable[[], None]

    def is_up(self) -> bool:
        """Whether it was ready once and still runs."""
        process = self.process()
        return process is not None and process.poll() is None


def places_of(fleet: Fleet) -> list[Place]:
    """Every process of the fleet."""
    return [
        *(Place("api", lambda k=k: fleet.apis[k], partial(fleet.start_api, k)) for k in range(REPLICAS)),  # type: ignore[misc]
        *(Place("worker", lambda k=k: fleet.workers[k], partial(fleet.start_worker, k)) for k in range(WORKERS)),  # type: ignore[misc]
        Place("redis", lambda: fleet.redis, fleet.start_redis),
    ]


def digest(pictures: Pictures) -> str:
    """SHA-256 of the pixels, in order."""
    return hashlib.sha256(b"".join(picture.array.tobytes() for picture in pictures)).hexdigest()


async def one_job(client: AsyncClient, seen: Seen, seed: int, end: float) -> None:
    """Have a job accepted and wait for its pictures, however long that takes before `end`."""
    try:
        job = await client.submit(calls.sample(seed=seed, n=PICTURES))
    except GanymedeError:
        seen.jobs["not accepted"] += 1
        return
    while time.monotonic() < end:
        try:
            seen.pixels[seed] = digest(await job.wait(every_s=1.0))
            seen.jobs["succeeded"] += 1
            return
        except JobFailedError as error:
            seen.jobs[str(error.job["state"])] += 1
            return
        except ServerError as error:
            if error.status in {404, 410}:
                seen.jobs["lost"] += 1
                return
            await asyncio.sleep(1)
        except GanymedeError:
            await asyncio.sleep(1)
    seen.jobs["unfinished"] += 1


async def one_visit(client: AsyncClient, seen: Seen, seed: int, _: float) -> None:
    """An immediate request, with the retries of the client and no others."""
    began = time.monotonic()
    try:
        await client.sample(seed=seed, n=2)
        seen.immediate["answered"] += 1
        seen.seconds.append(time.monotonic() - began)
    except ServerError as error:
        seen.immediate[str(error.status)] += 1
    except GanymedeError as error:
        seen.immediate[type(error).__name__] += 1


async def traffic(one: Callable[[int], Awaitable[None]], rate: float, end: float) -> None:
    """`rate` calls a second until `end`, each on its own; then those under way."""
    gate, start, count = asyncio.Semaphore(AT_ONCE), time.monotonic(), 0

    async def guarded(seed: int) -> None:
        async with gate:
            await one(seed)

    async with asyncio.TaskGroup() as group:
        while time.monotonic() < end:
            if not gate.locked():
                group.create_task(guarded(100 * count))
            count += 1
            await asyncio.sleep(max(0.0, start + count / rate - time.monotonic()))


async def supervise(place: Place, done: asyncio.Event) -> None:
    """Start it again whenever it is gone, until all is done."""
    while not done.is_set():
        if not place.is_up():
            await asyncio.to_thread(place.start)
        await asyncio.sleep(0.05)


async def murder(places: list[Place], seen: Seen, a_minute: float, end: float) -> None:
    """SIGKILL to whoever is up, at random moments."""
    rng = random.Random(7)
    while time.monotonic() < end:
        await asyncio.sleep(rng.expovariate(a_minute / 60))
        if up := [place for place in places if place.is_up()]:
            place = rng.choice(up)
            await asyncio.to_thread(kill, place.process())
            seen.kills[place.kind] += 1


async def report(seen: Seen, end: float) -> None:
    """A line a minute for whoever waits."""
    while time.monotonic() < end:
        await asyncio.sleep(min(60.0, max(0.0, end - time.monotonic())))
        print(f"{dict(seen.kills)} {dict(seen.jobs)} {dict(seen.immediate)}", file=sys.stderr, flush=True)


async def wrong_bytes(client: AsyncClient, pixels: dict[int, str]) -> str:
    """How many of at most COMPARED jobs' pixels differ from those of an undisturbed request."""
    chosen = random.Random(7).sample(sorted(pixels), min(COMPARED, len(pixels)))
    calm = [digest(await client.sample(seed=seed, n=PICTURES)) for seed in chosen]
    return f"{sum(one != pixels[seed] for one, seed in zip(calm, chosen, strict=True))} of {len(chosen)}"


async def chaos(minutes: float, rate: float, kills: float) -> Row:
    """`rate` requests and jobs a second, half each, and `kills` a minute, for so many minutes."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(16))
    seen, done = Seen(), asyncio.Event()
    bundle = str(SHIPPED_BUNDLES / "fashion32")
    with Fleet(WORKERS, REPLICAS, bundles=bundle, job_attempts="20") as fleet:
        places, end = places_of(fleet), time.monotonic() + 60 * minutes
        async with Balancer(lambda: fleet.ports) as balancer, AsyncClient(balancer.url) as client:
            keepers = [asyncio.create_task(supervise(place, done)) for place in places]
            await asyncio.gather(
                traffic(lambda seed: one_job(client, seen, seed, end + CALM_S), rate / 2, end),
                traffic(lambda seed: one_visit(client, seen, seed, end), rate / 2, end),
                murder(places, seen, kills, end),
                report(seen, end),
            )
            wrong = await wrong_bytes(client, seen.pixels)
            done.set()
            await asyncio.gather(*keepers)  # a process that is starting must not outlive the fleet
    return row_of(f"chaos, {minutes:g} min, {rate:g} requests/s, {REPLICAS} API, {WORKERS} workers", seen, wrong)


def row_of(name: str, seen: Seen, wrong: str) -> Row:
    """The row of the page."""
    total = sum(seen.immediate.values())
    times = np.percentile(seen.seconds or [0.0], [50, 99])
    share = 100 * seen.immediate["answered"] / max(1, total)
    note = f"{seen.kills.total()} kills {dict(seen.kills)}; {share:.2f} % of {total} immediate requests answered"
    note += f" {dict(seen.immediate)}, median {times[0]:.2f} s, p99 {times[1]:.1f} s with their retries"
    accepted = seen.jobs.total() - seen.jobs["not accepted"]
    return {"fault": name, "jobs": accepted, "ended": dict(seen.jobs), "wrong bytes": wrong, "note": note}
