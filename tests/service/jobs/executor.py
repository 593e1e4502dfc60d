"""What test jobs do, and a worker process that does it. Marks go to an append-only file that does not depend on Redis."""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from redis.asyncio import Redis

from service.errors import InvalidValueError
from service.jobs.attempts import Emit
from service.jobs.job import Job
from service.jobs.queue import JobQueue, QueueSettings
from service.jobs.runner import JobRunner
from service.redis.connect import connect
from service.redis.keys import RedisKeys

SETTINGS = QueueSettings(lease_s=1.5, stall_s=1.5, attempts=3, max_jobs=2000)


class Executor:
    """Does what the payload says: `{n, seconds, poison, stall, fail, refuse}`; the result tells n and the attachments."""

    def __init__(self, marks: Path | None = None) -> None:
        self.marks = marks
        self.order: list[str] = []
        self.alone: list[int] = []
        self.active = 0

    async def __call__(self, job: Job, emit: Emit) -> bytes:
        order = json.loads(job.part or job.payload)
        self.mark("start", order["n"])
        self.order.append(str(order["n"]))
        self.active += 1
        try:
            await self._do(order, job, emit)
        finally:
            self.active -= 1
        self.mark("done", order["n"])
        return json.dumps({"n": order["n"]}).encode() + b"".join(job.attachments.values())

    async def _do(self, order: dict[str, object], job: Job, emit: Emit) -> None:
        if order.get("poison"):
            await asyncio.sleep(0.1)
            os.kill(os.getpid(), signal.SIGKILL)
        if order.get("stall"):
            time.sleep(float(str(order["stall"])))  # blocks the loop: no heartbeats
        if order.get("fail"):
            raise RuntimeError("the model broke")
        if order.get("refuse"):
            raise InvalidValueError("refused")
        await emit("progress", {"done": 1, "total": 1, "unit": "picture"})
        await asyncio.sleep(float(str(order.get("seconds", 0))))

    def mark(self, kind: str, n: object) -> None:
        if self.marks is not None:
            with self.marks.open("ab", buffering=0) as file:
                file.write(f"{kind} {n} {os.getpid()} {time.time():.3f}\n".encode())


def counts(marks: Path) -> tuple[Counter[str], Counter[str]]:
    """How often each job was started, and how often it ran to its end."""
    started: Counter[str] = Counter()
    done: Counter[str] = Counter()
    for line in marks.read_text().splitlines():
        kind, n, *_ = line.split()
        (started if kind == "start" else done)[n] += 1
    return started, done


async def merge(job: Job, parts: list[bytes]) -> bytes:
    return b"|".join(parts)


def payload(n: object, **more: object) -> bytes:
    return json.dumps({"n": n, **more}).encode()


def queue_on(redis: Redis, keys: RedisKeys, **settings: object) -> JobQueue:
    return JobQueue(redis, keys, QueueSettings(**{**SETTINGS.__dict__, **settings}))


async def work(url: str, tag: str, marks: str, slots: int, stall_s: float) -> None:
    queue = JobQueue(connect(url), RedisKeys(tag), replace(SETTINGS, stall_s=stall_s))
    runner = JobRunner(queue, Executor(Path(marks)), merge, slots=slots, retry_base_s=0.1)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runner.start()
    await stop.wait()
    await runner.stop(grace_s=10)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])))
