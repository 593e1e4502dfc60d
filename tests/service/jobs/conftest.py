"""A queue on a real server, runners that are stopped after the test, worker processes that a test may kill."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from service.jobs.queue import JobQueue
from service.jobs.runner import JobRunner
from service.redis.keys import RedisKeys
from tests.service.jobs.executor import SETTINGS, Executor, merge, queue_on

Spawn = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
async def queue(redis: Redis, keys: RedisKeys) -> AsyncIterator[JobQueue]:
    queue = queue_on(redis, keys)
    yield queue
    await queue.close()


@pytest.fixture
async def runner_of() -> AsyncIterator[Callable[..., JobRunner]]:
    """Start a runner on a queue; it is stopped when the test ends."""
    started: list[JobRunner] = []

    def start(queue: JobQueue, executor: Any = None, **options: Any) -> JobRunner:
        runner = JobRunner(queue, executor or Executor(), merge, **{"retry_base_s": 0.05, **options})
        runner.start()
        started.append(runner)
        return runner

    yield start
    for runner in started:
        await runner.stop(grace_s=0.0)


@pytest.fixture
def worker_process() -> Iterator[Spawn]:
    """Start a worker process; killed when the test ends."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        url: str, keys: RedisKeys, marks: Path, slots: int = 32, stall_s: float = SETTINGS.stall_s
    ) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.service.jobs.executor", url, keys.tag, str(marks)]
        command += [str(slots), str(stall_s)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


async def until(condition: Callable[[], Awaitable[bool]], timeout_s: float = 30.0) -> None:
    """Wait until a condition holds; fail when it never does."""
    async with asyncio.timeout(timeout_s):
        while not await condition():
            await asyncio.sleep(0.05)
