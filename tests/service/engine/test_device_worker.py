"""Where a batch is computed: in the event loop when that is quick, in the thread when somebody would notice."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from service.engine.batcher import Ticket
from service.engine.device_worker import INLINE_BATCHES, DeviceWorker
from service.engine.level_work import LevelWork
from service.observability.metrics import Metrics

Ask = Callable[..., "asyncio.Future[Any]"]


class Clockwork:
    """A runtime that takes 0.2 s for batches of seven, and says in which thread it ran."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def run_level(self, level: int, previous: object, noise: np.ndarray, label: object) -> np.ndarray:
        self.threads.append(threading.current_thread())
        time.sleep(0.2 if len(noise) == 7 else 0.0)
        return noise


@pytest.fixture
async def clockwork() -> AsyncIterator[tuple[Clockwork, Ask]]:
    """The runtime, and a function that asks the device for some pictures."""
    runtime, worker = Clockwork(), DeviceWorker(Metrics(), inline=True)
    bundle = SimpleNamespace(name="clockwork")
    model: Any = SimpleNamespace(runtime=runtime, buckets=(0,), bundle=bundle)

    def ask(count: int = 1, key: str = "key") -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        noise = np.arange(count, dtype=np.float32)[:, None]
        future: asyncio.Future[Any] = loop.create_future()
        work = LevelWork(model, 0, None, noise, None, future, loop, count)
        worker.submit(Ticket(key, count, "caller", work, time.monotonic()))
        return future

    yield runtime, ask
    await asyncio.to_thread(worker.stop)


async def quick(runtime: Clockwork, ask: Ask, key: str = "key") -> None:
    """Ask until the device is known to be quick; on a busy machine the first readings may say otherwise."""
    for _ in range(200):
        await asyncio.gather(*(ask(key=key) for _ in range(16)))
        if runtime.threads[-1] is threading.main_thread():
            return
    raise AssertionError("never computed in the event loop")


async def test_quick_batches_need_no_thread(clockwork: tuple[Clockwork, Ask]) -> None:
    """After the first batch, whose time nobody knew, the event loop computes itself, and shares batches."""
    runtime, ask = clockwork
    await quick(runtime, ask)
    runtime.threads.clear()
    await asyncio.gather(*(ask() for _ in range(16)))
    assert runtime.threads == [threading.main_thread()]


async def test_a_slow_bundle_never_stops_the_event_loop(clockwork: tuple[Clockwork, Ask]) -> None:
    """Health checks and refusals are answered while a batch of 0.2 s is computed, also one of a quick key behind it."""
    runtime, ask = clockwork
    await quick(runtime, ask, "quick")
    runtime.threads.clear()
    asked = [ask(7, key="slow"), ask(key="quick")]
    longest = 0.0
    while not all(future.done() for future in asked):
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - before)
    assert runtime.threads[0] is not threading.main_thread()
    assert longest < 0.15


async def test_much_waiting_leaves_the_loop_to_refusals(clockwork: tuple[Clockwork, Ask]) -> None:
    """A large request is computed in the thread; afterwards small ones are quick again; every row is in its place."""
    runtime, ask = clockwork
    await quick(runtime, ask)
    runtime.threads.clear()
    rows = await ask(16 * (INLINE_BATCHES + 3))
    assert np.array_equal(rows[:, 0], np.arange(len(rows)))
    assert runtime.threads[0] is not threading.main_thread()
    await quick(runtime, ask)


class Fixed:
    """A runtime whose graphs take four pictures a call, as on a GPU; remembers what it was given."""

    def __init__(self) -> None:
        self.calls: list[list[list[float]]] = []

    def run_level(self, level: int, previous: object, noise: np.ndarray, label: np.ndarray) -> np.ndarray:
        self.calls.append(noise.tolist())
        assert len(noise) == len(label) == 4
        return noise + label


async def test_every_call_of_a_fixed_size_is_full() -> None:
    """The last one is filled with copies of its first picture, which nobody gets to see."""
    runtime, worker = Fixed(), DeviceWorker(Metrics(), inline=False)
    model: Any = SimpleNamespace(runtime=runtime, buckets=(4,), bundle=SimpleNamespace(name="fixed"))
    loop = asyncio.get_running_loop()
    noise, label = np.arange(12, dtype=np.float32).reshape(6, 2), np.full((6, 2), 100, np.float32)
    future: asyncio.Future[Any] = loop.create_future()
    work = LevelWork(model, 0, None, noise, label, future, loop, 6)
    worker.submit(Ticket("key", 6, "caller", work, time.monotonic()))
    pictures = await future
    await asyncio.to_thread(worker.stop)
    assert np.array_equal(pictures, noise + 100)
    assert runtime.calls == [noise[:4].tolist(), noise[[4, 5, 4, 4]].tolist()]
