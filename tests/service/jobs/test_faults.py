"""Accepted work is never lost: kill workers, stop and kill the store, poison jobs, stall loops. Redis 7 and Valkey 9."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from service.jobs.job import Job, JobState
from service.jobs.queue import JobQueue
from service.jobs.runner import JobRunner
from service.redis.connect import connect
from service.redis.keys import RedisKeys
from tests.service.jobs.conftest import Spawn, until
from tests.service.jobs.executor import SETTINGS, Executor, counts, payload, queue_on
from tests.service.servers import Server

Start = Callable[..., JobRunner]


@pytest.fixture
async def own_queue(own_server: Server, keys: RedisKeys) -> AsyncIterator[JobQueue]:
    queue = queue_on(connect(own_server.url), keys)
    yield queue
    await queue.close()
    await queue.redis.aclose()


async def _enqueue(queue: JobQueue, count: int, **order: object) -> list[Job]:
    return [await queue.enqueue("work", payload(n, **order)) for n in range(count)]


async def _all_done(queue: JobQueue, jobs: list[Job], timeout_s: float = 40.0) -> None:
    done = await asyncio.gather(*[queue.wait(job.id, timeout_s) for job in jobs])
    assert {job.state for job in done} == {JobState.SUCCEEDED}
    for n, job in enumerate(jobs):
        assert json.loads(await queue.result(job.id) or b"{}") == {"n": n}


async def _some_run(queue: JobQueue) -> bool:
    return (await queue.load()).running > 0


async def test_sigkill_of_a_worker_loses_nothing(
    queue: JobQueue, server: Server, worker_process: Spawn, tmp_path: Path
) -> None:
    """All jobs of a killed worker run again on another; done soon after its leases end."""
    marks = tmp_path / "marks"
    first = worker_process(server.url, queue.keys, marks)
    jobs = await _enqueue(queue, 60, seconds=0.3)
    await until(lambda: _some_run(queue))
    first.kill()
    first.wait()
    worker_process(server.url, queue.keys, marks)
    await _all_done(queue, jobs)
    started, done = counts(marks)
    assert len(done) == 60
    assert max(started.values()) <= 2


async def test_a_killed_workers_jobs_go_to_busy_workers_at_once(
    queue: JobQueue, server: Server, worker_process: Spawn, runner_of: Start, tmp_path: Path
) -> None:
    """They were accepted first: they do not wait until a survivor has worked off everything that came after them."""
    victim = worker_process(server.url, queue.keys, tmp_path / "marks", 4)
    early = [await queue.enqueue("work", payload(f"early {n}", seconds=60)) for n in range(4)]
    await until(lambda: _running(queue, 4))
    executor = Executor()
    runner_of(queue, executor, slots=2)
    late = await _enqueue(queue, 40, seconds=0.3)  # six seconds of work for two slots
    await until(lambda: _running(queue, 6))
    victim.kill()
    await until(lambda: _all_started(executor, early), 2 * SETTINGS.lease_s)
    assert len(executor.order) < len(early) + len(late)
    for job in early:
        await queue.cancel(job.id)
    await _all_done(queue, late)


async def _running(queue: JobQueue, count: int) -> bool:
    return (await queue.load()).running == count


async def _all_started(executor: Executor, jobs: list[Job]) -> bool:
    return sum(n.startswith("early") for n in executor.order) == len(jobs)


async def test_after_an_outage_longer_than_the_lease_nothing_runs_twice(
    own_queue: JobQueue, own_server: Server, worker_process: Spawn, tmp_path: Path
) -> None:
    """Every lease has run out meanwhile; the workers wait until the living have renewed theirs."""
    marks = tmp_path / "marks"
    for _ in range(2):
        worker_process(own_server.url, own_queue.keys, marks, 4)
    jobs = await _enqueue(own_queue, 8, seconds=5)
    await until(lambda: _running(own_queue, 8))
    own_server.kill()
    await asyncio.sleep(2 * SETTINGS.lease_s)
    own_server.start()
    await _all_done(own_queue, jobs)
    assert set(counts(marks)[0].values()) == {1}


async def test_a_busy_loop_keeps_its_leases(
    queue: JobQueue, server: Server, worker_process: Spawn, runner_of: Start, tmp_path: Path
) -> None:
    """Something blocks the event loop for longer than the lease: its jobs are not run again, the thread's heart beats."""
    marks = tmp_path / "marks"
    worker_process(server.url, queue.keys, marks, 4, 30.0)
    job = await queue.enqueue("work", payload("stall", stall=3 * SETTINGS.lease_s))
    await until(lambda: _some_run(queue))
    runner_of(queue, Executor(marks))
    assert (await queue.wait(job.id, 30)).state == JobState.SUCCEEDED
    assert counts(marks)[0]["stall"] == 1


async def test_sigterm_drains_without_running_anything_twice(
    queue: JobQueue, server: Server, worker_process: Spawn, tmp_path: Path
) -> None:
    """A deployment replaces a worker under load: it finishes what it has, the next takes the rest."""
    marks = tmp_path / "marks"
    first = worker_process(server.url, queue.keys, marks, slots=8)
    jobs = await _enqueue(queue, 40, seconds=0.3)
    await until(lambda: _some_run(queue))
    first.send_signal(signal.SIGTERM)
    worker_process(server.url, queue.keys, marks, slots=8)
    await _all_done(queue, jobs)
    assert first.wait() == 0
    assert set(counts(marks)[0].values()) == {1}


@pytest.mark.parametrize("how", ["terminate", "kill"])
async def test_the_store_goes_away_for_a_moment(
    own_queue: JobQueue, own_server: Server, runner_of: Start, tmp_path: Path, how: str
) -> None:
    """Stop or kill Redis while jobs run: nothing lost, nothing run again, the worker lives."""
    executor = Executor(tmp_path / "marks")
    runner_of(own_queue, executor, slots=32)
    jobs = await _enqueue(own_queue, 60, seconds=0.5)
    await until(lambda: _some_run(own_queue))
    getattr(own_server, how)()
    await asyncio.sleep(1.0)
    own_server.start()
    await _all_done(own_queue, jobs)
    assert set(counts(tmp_path / "marks")[0].values()) == {1}


async def test_a_poison_job_takes_nobody_with_it(
    queue: JobQueue, server: Server, worker_process: Spawn, tmp_path: Path
) -> None:
    """A job that kills its process ends on the dead-letter list; all its neighbours succeed."""
    marks = tmp_path / "marks"
    process = worker_process(server.url, queue.keys, marks)
    poison = await queue.enqueue("work", payload("poison", poison=True))
    jobs = await _enqueue(queue, 20, seconds=0.2)

    async def over() -> bool:
        nonlocal process
        if process.poll() is not None:
            process = worker_process(server.url, queue.keys, marks)
        return (await queue.get(poison.id)).ended

    await until(over, 60)
    await _all_done(queue, jobs)
    assert [job.id for job in await queue.dead()] == [poison.id]
    assert counts(marks)[0]["poison"] == SETTINGS.attempts


async def test_a_stalled_worker_gives_one_result(
    queue: JobQueue, server: Server, worker_process: Spawn, runner_of: Start, tmp_path: Path
) -> None:
    """A worker that sleeps past its lease and comes back does not harm: one end, one result."""
    worker_process(server.url, queue.keys, tmp_path / "marks", 4)
    job = await queue.enqueue("work", payload("stall", stall=4))
    await until(lambda: _some_run(queue))
    runner_of(queue)  # takes over after the lease; its own stall blocks this loop, so it only joins now
    done = await queue.wait(job.id, 30)
    assert done.state == JobState.SUCCEEDED
    await asyncio.sleep(3)
    ends = [name async for _, name, _ in queue.events(job.id) if name == "succeeded"]
    assert ends == ["succeeded"]


async def test_chunks_are_taken_by_several_workers_and_merged_in_order(
    queue: JobQueue, runner_of: Start, tmp_path: Path
) -> None:
    """One bulk job in ten parts over two workers is one result, in order, with progress in pictures."""
    executors = [Executor(), Executor()]
    for executor in executors:
        runner_of(queue, executor, slots=2)
    chunks = [(4, payload(n, seconds=0.1)) for n in range(10)]
    job = await queue.enqueue("sample", payload("all"), {"image": b"!"}, bulk=True, cost=40, chunks=chunks)
    done = await queue.wait(job.id, 20)
    assert done.state == JobState.SUCCEEDED
    assert await queue.result(job.id) == b"|".join(b'{"n": %d}!' % n for n in range(10))
    assert all(len(executor.order) > 1 for executor in executors)
    assert done.progress == {"done": 40, "total": 40, "unit": "picture"}
    assert await queue.redis.keys(queue.keys.tag + f":*{job.id}.*") == []
    assert (await queue.load()).waiting_pictures == 0


async def test_a_failing_chunk_fails_the_job_and_a_person_can_requeue_it(queue: JobQueue, runner_of: Start) -> None:
    """The job is on the dead-letter list as a whole; its other parts are stopped, and done parts are not done again."""
    executor = Executor()
    runner = runner_of(queue, executor, slots=3)
    chunks = [(1, payload(0)), (1, payload(1, fail=True)), (1, payload(2, seconds=60))]
    job = await queue.enqueue("sample", payload("all"), bulk=True, cost=3, chunks=chunks)
    assert (await queue.wait(job.id, 30)).state == JobState.FAILED
    assert [dead.id for dead in await queue.dead()] == [job.id]
    await queue.requeue(job.id)
    await queue.cancel(job.id)
    await until(lambda: _idle(queue))
    assert executor.order.count("0") == 1
    assert (await queue.load()).waiting_pictures == 0
    assert runner.running == {}


async def _idle(queue: JobQueue) -> bool:
    load = await queue.load()
    return load.running == load.waiting_bulk == load.delayed == 0


async def test_a_cancelled_job_stops_all_its_chunks(queue: JobQueue, runner_of: Start) -> None:
    """Cancelling a split job ends it at once, and its parts with it."""
    runner = runner_of(queue, slots=4)
    chunks = [(1, payload(n, seconds=60)) for n in range(12)]
    job = await queue.enqueue("sample", payload("all"), bulk=True, cost=12, chunks=chunks)
    await until(lambda: _some_run(queue))
    assert (await queue.cancel(job.id)).state == JobState.CANCELED
    await until(lambda: _idle(queue))
    assert runner.running == {}


async def test_work_goes_on_when_signals_are_lost(queue: JobQueue, runner_of: Start) -> None:
    """The signal connections are cut again and again: jobs still start, end and are seen to end within seconds."""
    runner_of(queue)
    began = time.monotonic()
    for n in range(3):
        for client in await queue.redis.client_list(_type="pubsub"):
            await queue.redis.client_kill_filter(_id=client["id"])
        job = await queue.enqueue("work", payload(n))
        assert (await queue.wait(job.id, 10)).state == JobState.SUCCEEDED
    assert time.monotonic() - began < 15


async def test_forgetting_a_job_while_the_store_is_away_is_no_failure(own_queue: JobQueue, own_server: Server) -> None:
    """An answer that has arrived is not turned into a 500 by tidying up (seen once in two minutes of chaos)."""
    job = await own_queue.enqueue("work", payload(1), transient=True)
    own_server.kill()
    await own_queue.forget(job.id)
    own_server.start()
