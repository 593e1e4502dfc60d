"""The faults, one function each. A scenario returns what it measured, as words for a table."""

import asyncio
import hashlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bench.faults.fleet import Fleet, kill
from service.jobs.queue import JobQueue, QueueSettings
from service.jobs.runner import JobRunner
from service.redis.connect import connect
from service.redis.failures import AWAY as STORE_AWAY
from service.redis.keys import RedisKeys

Row = dict[str, Any]
NPY = {"accept": "application/x-npy"}
AWAY = (httpx.TransportError,)
PICTURES = 24  # of one job


async def accept_jobs(client: httpx.AsyncClient, count: int, pictures: int = 8, first: int = 0) -> dict[int, str]:
    """Have jobs accepted, retrying with the same Idempotency-Key until each is; seed -> address."""
    accepted: dict[int, str] = {}
    gate = asyncio.Semaphore(32)

    async def one(seed: int) -> None:
        headers = {"prefer": "respond-async", "idempotency-key": f"fault-{seed}"}
        async with gate:
            while seed not in accepted:
                try:
                    reply = await client.post("/sample", json={"seed": seed, "n": pictures}, headers=headers)
                except AWAY:
                    await asyncio.sleep(0.2)
                    continue
                if reply.status_code == 202:
                    accepted[seed] = reply.headers["location"]
                else:
                    await asyncio.sleep(float(reply.headers.get("retry-after", "0.3")))

    await asyncio.gather(*[one(100 * (first + k)) for k in range(count)])
    return accepted


async def states(fleet: Fleet, addresses: dict[int, str]) -> Counter[str]:
    """How the jobs stand, read from the store in one go; a job that is not known is `lost`."""
    redis = connect(f"unix://{fleet.socket}")
    try:
        pipe = redis.pipeline(transaction=False)
        for address in addresses.values():
            pipe.hget(RedisKeys("{gmd}").name("job", id=address.rsplit("/", 1)[1]), "state")
        return Counter((state or b"lost").decode() for state in await pipe.execute())
    except STORE_AWAY:
        return Counter({"?": len(addresses)})
    finally:
        await redis.aclose()


async def all_end(fleet: Fleet, addresses: dict[int, str], limit_s: float = 240) -> Counter[str]:
    end = time.monotonic() + limit_s
    while True:
        found = await states(fleet, addresses)
        if not {"queued", "running", "?"} & set(found) or time.monotonic() > end:
            return found
        await asyncio.sleep(0.1)


async def digests(client: httpx.AsyncClient, addresses: dict[int, str]) -> dict[int, str]:
    """SHA-256 of each job's pixels."""
    found = {}
    for seed, address in addresses.items():
        reply = await client.get(f"{address}/result", headers=NPY)
        found[seed] = hashlib.sha256(reply.content).hexdigest() if reply.status_code == 200 else str(reply.status_code)
    return found


async def differ(client: httpx.AsyncClient, addresses: dict[int, str], pictures: int) -> str:
    """How many of 100 results differ from those of an undisturbed run (immediate answers, nothing being killed)."""
    chosen = dict(random.Random(7).sample(sorted(addresses.items()), min(100, len(addresses))))
    found, wrong = await digests(client, chosen), 0
    for seed, digest in found.items():
        calm = await client.post("/sample", json={"seed": seed, "n": pictures}, headers=NPY)
        wrong += hashlib.sha256(calm.content).hexdigest() != digest
    return f"{wrong} of {len(chosen)}"


async def taken_over(fleet: Fleet, addresses: dict[int, str], killed: float) -> str:
    """When the killed worker's own jobs were taken over and when the last of them ended, from the jobs' events."""
    redis, again, done = connect(f"unix://{fleet.socket}"), [], []
    for address in addresses.values():
        rows: Any = await redis.xrange(RedisKeys("{gmd}").name("events", id=address.rsplit("/", 1)[1]))
        times = {row[b"e"]: int(row_id.split(b"-")[0]) / 1000 - killed for row_id, row in rows}
        if b"reclaimed" in times:
            again.append(times[b"reclaimed"])
            done.append(times[b"succeeded"])
    await redis.aclose()
    if not again:
        return "it held no job when it died"
    return f"its {len(again)} jobs: taken over after {max(again):.1f} s, the last of them done after {max(done):.1f} s"


async def worker_killed(count: int = 300) -> Row:
    """SIGKILL of one of two workers with `count` jobs accepted; a new one starts at once."""
    with Fleet(workers=2) as fleet:
        async with httpx.AsyncClient(base_url=fleet.url, timeout=60) as client:
            addresses = await accept_jobs(client, count, PICTURES)
            before = await states(fleet, addresses)
            kill(fleet.workers[0])
            began, killed = time.monotonic(), time.time()
            reviving = asyncio.create_task(asyncio.to_thread(fleet.revive))
            found = await all_end(fleet, addresses)
            took = time.monotonic() - began
            await reviving
            note = await taken_over(fleet, addresses, killed)
            wrong = await differ(client, addresses, PICTURES)
    return {
        "fault": "worker SIGKILL", "jobs": count, "unfinished at the fault": before["queued"] + before["running"],
        "ended": dict(found), "last end after s": round(took, 1), "wrong bytes": wrong, "note": note,
    }  # fmt: skip


async def redis_away(how: str, count: int = 300, down_s: float = 2.0) -> Row:
    """Redis stopped (`SIGTERM`) or killed (`SIGKILL`) for two seconds; workers and API must stay up."""
    with Fleet(workers=2) as fleet:
        pids = [one.pid for one in (*fleet.apis, *fleet.workers)]
        async with httpx.AsyncClient(base_url=fleet.url, timeout=60) as client:
            addresses = await accept_jobs(client, count, PICTURES)
            before = await states(fleet, addresses)
            assert fleet.redis is not None
            kill(fleet.redis, getattr(signal, how))
            fleet.redis.wait()
            await asyncio.sleep(0.5)
            meanwhile = (await client.post("/sample", json={"seed": 1, "timeout_ms": 2000})).status_code
            await asyncio.sleep(down_s - 0.5)
            began = time.monotonic()
            fleet.start_redis()
            found = await all_end(fleet, addresses)
            took = time.monotonic() - began
            wrong = await differ(client, addresses, PICTURES)
            alive = sum(Path(f"/proc/{pid}").exists() for pid in pids)
    return {
        "fault": f"Redis {how}, {down_s:g} s down", "jobs": count,
        "unfinished at the fault": before["queued"] + before["running"], "ended": dict(found),
        "last end after s": round(took, 1), "wrong bytes": wrong,
        "note": f"an immediate request meanwhile got {meanwhile}; {alive} of {len(pids)} processes lived through it",
    }  # fmt: skip


async def sigterm(seconds: float = 12.0) -> Row:
    """SIGTERM of a server (`--role all`) under load: what was sent before is answered; readyz says 503 at once."""
    fleet = Fleet(workers=0)
    fleet.start_redis()
    try:
        process, line = fleet._command("serve", "--port", "0")
        fleet.apis = [process]
        outcomes: Counter[str] = Counter()
        stop = asyncio.Event()
        async with httpx.AsyncClient(base_url=line, timeout=60) as client:
            readiness: list[int] = []

            async def load() -> None:
                while not stop.is_set():
                    try:
                        outcomes[str((await client.post("/sample", json={"n": 8})).status_code)] += 1
                    except httpx.ConnectError:
                        outcomes["refused to connect"] += 1
                        return
                    except AWAY as error:
                        outcomes[f"dropped ({type(error).__name__})"] += 1
                        return

            tasks = [asyncio.create_task(load()) for _ in range(16)]
            async with httpx.AsyncClient(base_url=line) as probe:
                await probe.get("/readyz")
                await asyncio.sleep(seconds / 3)
                process.send_signal(signal.SIGTERM)
                for _ in range(3):
                    try:
                        readiness.append((await probe.get("/readyz")).status_code)
                    except AWAY:
                        break
            await asyncio.gather(*tasks)
            code = await asyncio.to_thread(process.wait, 40)
    finally:
        fleet.__exit__(None, None, None)
    note = f"readyz after it: {readiness or 'connection closed'}; exit code {code}"
    return {"fault": "server SIGTERM, 16 clients", "ended": dict(outcomes), "note": note}


def ip(*words: str) -> None:
    """One `ip` command; needs root."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


async def link_cut(count: int = 200, cut_s: float = 8.0) -> Row:
    """Two machines (network namespaces): the link of one of two workers to Redis is cut under load, and restored."""
    space, near, far, port = "ganymede-far", "gmdnear", "gmdfar", "16390"
    ip("netns", "add", space)
    try:
        ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", space)
        ip("addr", "add", "10.77.0.1/24", "dev", near)
        ip("link", "set", near, "up")
        ip("-n", space, "addr", "add", "10.77.0.2/24", "dev", far)
        ip("-n", space, "link", "set", far, "up")
        ip("-n", space, "link", "set", "lo", "up")
        fleet = Fleet(workers=1)
        fleet.redis_address = ["--port", port, "--bind", "10.77.0.1", "--protected-mode", "no"]
        with fleet:
            fleet.start_worker(1, "ip", "netns", "exec", space, GANYMEDE_REDIS_URL=f"redis://10.77.0.1:{port}/0")
            async with httpx.AsyncClient(base_url=fleet.url, timeout=60) as client:
                addresses = await accept_jobs(client, count, PICTURES)
                before = await states(fleet, addresses)
                ip("link", "set", near, "down")
                await asyncio.sleep(cut_s)
                ip("link", "set", near, "up")
                began = time.monotonic()
                found = await all_end(fleet, addresses)
                took = time.monotonic() - began
                wrong = await differ(client, addresses, PICTURES)
            alive = sum(worker.poll() is None for worker in fleet.workers)
    finally:
        ip("netns", "del", space)
    return {
        "fault": f"link to one of two workers cut for {cut_s:g} s", "jobs": count,
        "unfinished at the fault": before["queued"] + before["running"], "ended": dict(found),
        "last end after s": round(took, 1), "wrong bytes": wrong, "note": f"{alive} of 2 workers lived through it",
    }  # fmt: skip


async def store_full(kind: str) -> Row:
    """Redis memory (`memory`) or the disk under its log (`disk`) full; then room again, without a restart."""
    folder = Path("/tmp/ganymede-full")
    folder.mkdir(exist_ok=True)
    if kind == "disk":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], check=True)
    try:
        with Fleet(workers=1, folder=folder) as fleet:
            redis = connect(f"unix://{fleet.socket}")
            async with httpx.AsyncClient(base_url=fleet.url, timeout=60) as client:
                addresses = await accept_jobs(client, 30)
                await fill(redis, kind, folder)
                codes: Counter[int] = Counter()
                for seed in range(20):
                    body = {"seed": seed, "n": 4}
                    codes[
                        (await client.post("/sample", json=body, headers={"prefer": "respond-async"})).status_code
                    ] += 1
                await empty(redis, kind, folder)
                await asyncio.sleep(2)
                found = await all_end(fleet, addresses)
                again = (await client.post("/sample", json={"seed": 5})).status_code
            await redis.aclose()
    finally:
        if kind == "disk":
            subprocess.run(["umount", str(folder)], check=False)
    note = f"while full: {dict(codes)}; afterwards a plain request got {again}"
    return {"fault": f"{kind} of the store full", "jobs": 30, "ended": dict(found), "note": note}


async def fill(redis: Redis, kind: str, folder: Path) -> None:
    if kind == "memory":
        await redis.config_set("maxmemory", "1mb")
        return
    with (folder / "filler").open("wb") as filler:
        while True:
            try:
                filler.write(b"\0" * 65536)
                filler.flush()
            except OSError:
                break
    for _ in range(200):  # Redis notices when it writes its log
        try:
            await redis.set("x", os.urandom(20_000))
        except RedisError:
            return
        await asyncio.sleep(0.02)


async def empty(redis: Redis, kind: str, folder: Path) -> None:
    if kind == "memory":
        await redis.config_set("maxmemory", "0")
    else:
        (folder / "filler").unlink()


async def cancels(count: int = 10_000) -> Row:
    """Random cancels of queued and running jobs; afterwards every gauge must be zero."""
    fleet = Fleet(workers=0)
    fleet.start_redis()
    try:
        redis, rng = connect(f"unix://{fleet.socket}"), random.Random(7)
        queue = JobQueue(redis, RedisKeys(), QueueSettings(max_jobs=count + 1))

        async def work(job: Any, emit: Any) -> bytes:
            await asyncio.sleep(rng.random() * 0.05)
            return b"x"

        runner = JobRunner(queue, work, work, slots=64)  # none is split
        runner.start()
        began, done = time.monotonic(), 0
        while done < count:
            jobs = await asyncio.gather(*[queue.enqueue("x", b"{}", cost=rng.randint(1, 9)) for _ in range(100)])
            await asyncio.sleep(rng.random() * 0.1)
            await asyncio.gather(*[queue.cancel(job.id) for job in jobs])
            done += len(jobs)
        while (await queue.load()).running or (await queue.load()).counts()["queued"]:
            await asyncio.sleep(0.1)
        load, took = await queue.load(), time.monotonic() - began
        await runner.stop(1)
        await queue.close()
        await redis.aclose()
    finally:
        fleet.__exit__(None, None, None)
    note = f"waiting pictures {load.waiting_pictures}, running {load.running}, in the runner {len(runner.running)}"
    return {"fault": f"{count} random cancels", "jobs": count, "ended": load.ended, "note": f"{note}; {took:.0f} s"}
