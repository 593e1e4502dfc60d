"""What a client of the queue may rely on. Runs on Redis 7 and on Valkey 9."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from service.errors import InvalidValueError, NotFoundError, OverloadedError, StorageFullError
from service.jobs.job import Job, JobState
from service.jobs.queue import JobQueue
from service.jobs.runner import JobRunner
from service.redis.connect import connect
from service.redis.keys import TABLE, RedisKeys
from tests.service.jobs.conftest import until
from tests.service.jobs.executor import Executor, merge, payload, queue_on
from tests.service.servers import Server, texts

Start = Callable[..., JobRunner]


async def test_a_job_runs_and_its_result_comes_back(queue: JobQueue, runner_of: Start) -> None:
    """Bytes put in as attachments come back as bytes; the record tells what happened."""
    runner_of(queue)
    job = await queue.enqueue("sample", payload(1), {"image": b"\x00\xff"}, caller="ann", cost=3)
    done = await queue.wait(job.id, 10)
    assert (done.state, done.attempts, done.caller, done.cost) == (JobState.SUCCEEDED, 1, "ann", 3)
    assert await queue.result(job.id) == b'{"n": 1}\x00\xff'
    assert done.created_at <= (done.started_at or 0) <= (done.ended_at or 0)
    assert done.progress == {"done": 1, "total": 1, "unit": "picture"}


async def test_events_resume_after_the_last_one_seen(queue: JobQueue, runner_of: Start) -> None:
    """A browser that lost its connection sees the rest and nothing twice."""
    runner_of(queue)
    job = await queue.enqueue("sample", payload(1))
    events = [event async for event in queue.events(job.id)]
    assert [name for _, name, _ in events] == ["queued", "running", "progress", "succeeded"]
    rest = [event async for event in queue.events(job.id, events[1][0])]
    assert rest == events[2:]
    assert [event async for event in queue.events(job.id, events[-1][0])] == []


async def test_many_readers_share_one_connection(queue: JobQueue, redis: Redis, runner_of: Start) -> None:
    """Two hundred open event streams cost the store no connection each."""
    job = await queue.enqueue("sample", payload(1, seconds=0.2))
    readers = [asyncio.create_task(_names(queue, job.id)) for _ in range(200)]
    await asyncio.sleep(0.3)
    assert sum(client["sub"] != "0" for client in await redis.client_list()) <= 2
    runner_of(queue)
    assert {tuple(names) for names in await asyncio.gather(*readers)} == {
        ("queued", "running", "progress", "succeeded")
    }


async def _names(queue: JobQueue, job_id: str) -> list[str]:
    return [name async for _, name, _ in queue.events(job_id)]


async def test_the_same_idempotency_key_is_the_same_job(queue: JobQueue, runner_of: Start) -> None:
    """A client that retries gets its first job, also after it ended; another body with the key is refused."""
    runner_of(queue)
    first = await queue.enqueue("sample", payload(1), caller="ann", idempotency_key="k", fingerprint=b"1")
    await queue.wait(first.id, 10)
    again = await queue.enqueue("sample", payload(1), caller="ann", idempotency_key="k", fingerprint=b"1")
    assert again.id == first.id
    assert (
        await queue.enqueue("sample", payload(1), caller="bob", idempotency_key="k", fingerprint=b"1")
    ).id != first.id
    with pytest.raises(InvalidValueError, match="Idempotency-Key"):
        await queue.enqueue("sample", payload(2), caller="ann", idempotency_key="k", fingerprint=b"2")


async def test_of_200_at_once_exactly_the_limit_is_accepted(redis: Redis, keys: RedisKeys) -> None:
    """The bound of the queue holds under a stampede, and the refusal says when to come back."""
    queue = queue_on(redis, keys, max_jobs=50)
    offers = [queue.enqueue("sample", payload(n)) for n in range(200)]
    answers = await asyncio.gather(*offers, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, OverloadedError)]
    assert len(refused) == 150
    assert all(int(error.headers["Retry-After"]) >= 1 for error in refused)


async def test_retry_after_follows_the_measured_rate(redis: Redis, keys: RedisKeys, runner_of: Start) -> None:
    """With 20 jobs a second and room for 40, a twentieth of the queue is free again in about a tenth of a second."""
    queue = queue_on(redis, keys, max_jobs=100)
    runner_of(queue, slots=2)
    for n in range(60):
        await queue.enqueue("sample", payload(n, seconds=0.1), cost=5)
    await asyncio.sleep(2.0)
    load = await queue.load()
    assert 8 < load.jobs_per_s < 25
    assert load.pictures_per_s == pytest.approx(5 * load.jobs_per_s, rel=0.01)
    assert load.seconds_for_jobs(10) == pytest.approx(10 / load.jobs_per_s)
    await queue.close()


async def test_immediate_work_overtakes_bulk_work(queue: JobQueue, runner_of: Start) -> None:
    """A visitor does not wait behind somebody's thousand pictures."""
    bulk = [await queue.enqueue("sample", payload(n), bulk=True) for n in range(10)]
    visitor = await queue.enqueue("sample", payload("visitor"))
    assert (visitor.queue_position, (await queue.get(bulk[9].id)).queue_position) == (0, 10)
    executor = Executor()
    runner_of(queue, executor, slots=1)
    await queue.wait(visitor.id, 10)
    assert executor.order[0] == "visitor"


async def test_bulk_work_leaves_slots_free(queue: JobQueue, runner_of: Start) -> None:
    """With every bulk slot busy for seconds an immediate job starts at once."""
    runner_of(queue, slots=4)
    for n in range(8):
        await queue.enqueue("sample", payload(n, seconds=5), bulk=True)
    await asyncio.sleep(0.5)
    began = time.monotonic()
    visitor = await queue.enqueue("sample", payload("visitor"))
    assert (await queue.wait(visitor.id, 10)).state == JobState.SUCCEEDED
    assert time.monotonic() - began < 3


async def test_callers_get_equal_shares(queue: JobQueue, runner_of: Start) -> None:
    """Bob's three jobs do not wait for Ann's thirty that came first."""
    for n in range(30):
        await queue.enqueue("sample", payload(f"ann{n}"), caller="ann")
    last = [await queue.enqueue("sample", payload(f"bob{n}"), caller="bob") for n in range(3)][-1]
    executor = Executor()
    runner_of(queue, executor, slots=1)
    await queue.wait(last.id, 10)
    assert sum(name.startswith("ann") for name in executor.order) <= 5


async def test_a_queued_job_is_cancelled_at_once(queue: JobQueue, runner_of: Start) -> None:
    """It never runs, and cancelling again changes nothing."""
    job = await queue.enqueue("sample", payload(1))
    assert (await queue.cancel(job.id)).state == JobState.CANCELED
    assert (await queue.cancel(job.id)).state == JobState.CANCELED
    executor = Executor()
    runner_of(queue, executor)
    await queue.wait((await queue.enqueue("sample", payload(2))).id, 10)
    assert executor.order == ["2"]
    with pytest.raises(NotFoundError):
        await queue.cancel("nobody")


async def test_a_running_job_is_cancelled_promptly(queue: JobQueue, runner_of: Start) -> None:
    """Cancelling a job of a minute takes well under a second."""
    runner_of(queue)
    job = await queue.enqueue("sample", payload(1, seconds=60))
    await until(lambda: _is(queue, job.id, JobState.RUNNING))
    began = time.monotonic()
    await queue.cancel(job.id)
    assert (await queue.wait(job.id, 10)).state == JobState.CANCELED
    assert time.monotonic() - began < 2
    assert await queue.redis.xlen(queue.keys.name("running")) == 0


async def test_a_job_cancelled_in_the_moment_it_is_taken_frees_its_slot(queue: JobQueue) -> None:
    """Found by 10,000 random cancels: 64 of them had left a worker without a free slot for ever."""
    runner = JobRunner(queue, Executor(), merge)
    job = await queue.enqueue("sample", payload(1))
    (reply,) = await queue.run("take", runner.name, 1, 0)
    runner._spawn(job.id, reply[1].decode(), runner._run_reply, reply)
    next(iter(runner.running.values())).cancel("user")
    assert (await queue.wait(job.id, 10)).state == JobState.CANCELED
    await until(lambda: _empty(queue))
    assert runner.running == {}


async def _is(queue: JobQueue, job_id: str, state: JobState) -> bool:
    return (await queue.get(job_id)).state == state


async def test_a_late_job_is_dropped_before_it_is_computed(queue: JobQueue, runner_of: Start) -> None:
    """Nobody computes what nobody waits for: expired in the queue and expired while running."""
    late = await queue.enqueue("sample", payload("late"), deadline=time.time() + 0.1)
    await asyncio.sleep(0.2)
    executor = Executor()
    runner_of(queue, executor)
    long = await queue.enqueue("sample", payload("long", seconds=60), deadline=time.time() + 1)
    assert (await queue.wait(late.id, 10)).state == JobState.EXPIRED
    assert (await queue.wait(long.id, 10)).state == JobState.EXPIRED
    assert executor.order == ["long"]


async def test_what_cannot_meet_its_deadline_is_refused_in_milliseconds(queue: JobQueue, runner_of: Start) -> None:
    """The client learns at once, not when its time is over."""
    runner_of(queue, slots=2)
    for n in range(80):
        await queue.enqueue("sample", payload(n, seconds=0.2))
    await asyncio.sleep(1.2)
    began = time.monotonic()
    with pytest.raises(OverloadedError, match="would miss its deadline"):
        await queue.enqueue("sample", payload("x"), deadline=time.time() + 1)
    assert time.monotonic() - began < 0.5


async def test_a_broken_job_is_tried_again_and_then_laid_aside(queue: JobQueue, runner_of: Start) -> None:
    """Three attempts with pauses, then the dead-letter list; a person requeues it."""
    executor = Executor()
    runner_of(queue, executor)
    job = await queue.enqueue("sample", payload(1, fail=True))
    assert (await queue.wait(job.id, 20)).state == JobState.FAILED
    assert executor.order == ["1", "1", "1"]
    assert [dead.id for dead in await queue.dead()] == [job.id]
    assert "RuntimeError" in ((await queue.get(job.id)).error or {})["detail"]
    names = [name async for _, name, _ in queue.events(job.id)]
    assert names.count("retry") == 2
    again = await queue.requeue(job.id)
    assert again.attempts <= 1, "counted from none again; the worker may have begun already"
    assert (await queue.wait(job.id, 20)).state == JobState.FAILED
    assert len(executor.order) == 6
    with pytest.raises(NotFoundError):
        await queue.requeue("nobody")


async def test_a_refused_job_is_not_tried_again(queue: JobQueue, runner_of: Start) -> None:
    """An invalid value stays invalid: one attempt, the reason in the record, no dead letter."""
    runner_of(queue)
    job = await queue.wait((await queue.enqueue("sample", payload(1, refuse=True))).id, 10)
    assert (job.state, job.attempts, (job.error or {})["detail"]) == (JobState.FAILED, 1, "refused")
    assert await queue.dead() == []


async def test_the_problem_of_a_part_names_the_job(queue: JobQueue, runner_of: Start) -> None:
    """Parts are nobody's business: there is no address of one."""
    runner_of(queue)
    chunks = [(1, payload(1)), (1, payload(2, refuse=True))]
    job = await queue.enqueue("sample", payload("all"), bulk=True, cost=2, chunks=chunks)
    ended = await queue.wait(job.id, 10)
    assert (ended.state, (ended.error or {})["instance"]) == (JobState.FAILED, f"/jobs/{job.id}")


async def test_a_result_expires_and_the_record_stays(redis: Redis, keys: RedisKeys, runner_of: Start) -> None:
    """After its time the result is gone (410), but the job is still known."""
    queue = queue_on(redis, keys, result_ttl_s=1)
    runner_of(queue)
    job = await queue.wait((await queue.enqueue("sample", payload(1))).id, 10)
    assert await queue.result(job.id) is not None
    await until(lambda: _gone(queue, job.id), 5)
    assert (await queue.get(job.id)).state == JobState.SUCCEEDED
    await queue.close()


async def _gone(queue: JobQueue, job_id: str) -> bool:
    return await queue.result(job_id) is None


async def test_jobs_are_listed_newest_first_to_their_owner(queue: JobQueue) -> None:
    """Ann sees her jobs, page by page, and not Bob's, nor the immediate requests that travel through the queue."""
    mine = [await queue.enqueue("sample", payload(n), caller="ann") for n in range(5)]
    await queue.enqueue("sample", payload(9), caller="bob")
    await queue.enqueue("sample", payload(10), caller="ann", transient=True)
    page = await queue.list(caller="ann", limit=3)
    assert [job.id for job in page] == [job.id for job in reversed(mine[2:])]
    rest = await queue.list(caller="ann", limit=3, cursor=page[-1].created_at)
    assert [job.id for job in rest] == [job.id for job in reversed(mine[:2])]


async def test_every_key_is_in_the_table(queue: JobQueue, runner_of: Start) -> None:
    """What an operator finds in Redis is what the documentation lists."""
    runner_of(queue)
    await queue.enqueue(
        "sample", payload(0), deadline=time.time() + 60, idempotency_key="k", webhook="https://x.example"
    )
    await queue.enqueue("sample", payload(1), bulk=True, cost=2, chunks=[(1, payload(2)), (1, payload(3))])
    await queue.enqueue("sample", payload(4, fail=True))
    await asyncio.sleep(2)
    await queue.enqueue("sample", payload(5, seconds=60))
    rows = {row: re.sub(r"\\{\w+\\}", ".+", re.escape(spec.template)) for row, spec in TABLE.items()}
    kinds: Counter[str] = Counter()
    for key in texts(await queue.redis.keys(queue.keys.tag + "*")):
        name = key.removeprefix(queue.keys.tag + ":")
        matches = [row for row, pattern in rows.items() if re.fullmatch(pattern, name)]
        assert matches, f"{name} is not in keys.TABLE"
        assert await queue.redis.type(key) == TABLE[matches[0]].kind.encode()
        kinds[matches[0]] += 1
    assert {"job", "input", "result", "events", "running", "rate", "workers", "webhooks", "dead"} <= set(kinds)


async def test_ten_thousand_random_cancels_leave_no_gauge_stuck(queue: JobQueue, runner_of: Start) -> None:
    """After every job has ended, nothing is counted as waiting or running (a thousand here, ten in `make evidence`)."""
    runner_of(queue, slots=8)
    jobs = await asyncio.gather(*[queue.enqueue("s", payload(n, seconds=0.01), cost=n % 7 + 1) for n in range(1000)])
    await asyncio.gather(*[queue.cancel(job.id) for job in jobs[::2]])
    await until(lambda: _empty(queue))
    load = await queue.load()
    assert load.waiting_pictures == 0
    assert sum(load.ended.values()) == 1000


async def _empty(queue: JobQueue) -> bool:
    counts = (await queue.load()).counts()
    return counts["queued"] == counts["running"] == 0


async def test_a_full_store_refuses_cleanly_and_recovers(own_server: Server, keys: RedisKeys, runner_of: Start) -> None:
    """Redis out of memory: 507 for new work, accepted work waits and ends once there is room; nobody restarts anything."""
    queue = queue_on(connect(own_server.url), keys)
    waiting = [await queue.enqueue("s", payload(n), {"image": b"x" * 20_000}) for n in range(10)]
    used = (await queue.redis.info("memory"))["used_memory"]
    await queue.redis.config_set("maxmemory", used + 200_000)
    offers = [queue.enqueue("s", payload(n), {"image": b"x" * 20_000}) for n in range(100)]
    answers = await asyncio.gather(*offers, return_exceptions=True)
    assert any(isinstance(answer, StorageFullError) for answer in answers)
    assert all(isinstance(answer, Job | StorageFullError) for answer in answers)
    runner_of(queue)
    await asyncio.sleep(1)
    await queue.redis.config_set("maxmemory", 0)
    assert [(await queue.wait(job.id, 15)).state for job in waiting] == [JobState.SUCCEEDED] * 10
    await queue.close()
