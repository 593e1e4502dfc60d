"""Runs jobs in a worker: takes them with a lease, keeps the lease alive, hands in results, survives Redis being away.

What a job computes, and what comes of it, is its attempt's (`attempts.py`). A GPU call must run in a thread; when the
loop stands still for too long nevertheless, another worker runs the job again and the first finished result wins.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from service.jobs.attempts import Attempts, Execute, Merge, Outcome, job_of_reply
from service.jobs.heartbeat import Heartbeat
from service.jobs.job import Job, new_job_id
from service.jobs.leases import Leases
from service.jobs.queue import JobQueue
from service.jobs.signals import rest_until
from service.observability.logs import about_job, learn
from service.redis.failures import AWAY, is_full

log = logging.getLogger("ganymede.jobs")
log_ended = logging.getLogger("ganymede.ended")  # a line for each attempt

POLL_S = 1.0  # a lost signal costs at most this


@dataclass
class Running:
    """One job in this worker. `stop` says why its task was cancelled: user, shutdown or lost."""

    id: str
    mid: str
    task: asyncio.Task[None] | None = None
    stop: str | None = None
    started: bool = False
    finishing: bool = False

    def cancel(self, why: str) -> None:
        """Stop it: what runs gets CancelledError. A finished result is still handed in."""
        if why != "shutdown" and (self.finishing or self.stop):
            return
        self.stop = why
        if self.task is not None and self.started:  # one cancelled before its first step would never clean up
            self.task.cancel()


class JobRunner:
    """Runs up to `slots` jobs side by side; a quarter of them is kept free of bulk work.

    `ended` hears of each attempt and its outcome, `reclaimed` how many jobs were taken over; both must not block.
    """

    def __init__(
        self,
        queue: JobQueue,
        execute: Execute,
        merge: Merge,
        *,
        slots: int = 16,
        retry_base_s: float = 2.0,
        ended: Callable[[Job, str], None] = lambda job, outcome: None,
        reclaimed: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.queue, self.slots, self._ended, self._reclaimed = queue, slots, ended, reclaimed
        self.name = new_job_id()[-12:]
        self.running: dict[str, Running] = {}
        self.bulk: set[str] = set()
        self._attempts, self._retry_base_s = Attempts(queue, execute, merge), retry_base_s
        self._work = asyncio.Event()
        self._stopping = asyncio.Event()
        self._solo = asyncio.Lock()
        self._left = asyncio.Event()
        self._suspects = 0
        self._closed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.heartbeat = Heartbeat(queue, self.name, self.running, self._lost)
        self.leases = Leases(queue, self.name, slots, self.running, self.heartbeat, self._adopt)

    def start(self) -> None:
        """Begin to take jobs; returns at once. Redis need not be there yet."""
        self.queue.signals.listen("work", lambda _: self._work.set())
        self.queue.signals.listen("cancel", self._on_cancel)
        self.heartbeat.start()
        steps = ((self._take, 0.0), (self.leases.upkeep, min(1.0, self.heartbeat.every_s)))
        self._tasks = [asyncio.create_task(self._guard(step, pause_s)) for step, pause_s in steps]

    async def stop(self, grace_s: float = 20.0) -> None:
        """Drain: take nothing more, finish what runs, hand back what is not done after `grace_s`. Leases stay alive."""
        self._stopping.set()
        self._work.set()
        if tasks := self._job_tasks():
            await asyncio.wait(tasks, timeout=grace_s)
        for entry in list(self.running.values()):
            entry.cancel("shutdown")
        if tasks := self._job_tasks():
            await asyncio.wait(tasks, timeout=5.0)
        self._closed.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.heartbeat.stop()
        await self.leases.sign_off()

    def _job_tasks(self) -> list[asyncio.Task[None]]:
        return [entry.task for entry in self.running.values() if entry.task is not None]

    async def _guard(self, step: Callable[[], Awaitable[None]], pause_s: float) -> None:
        """Repeat one step until we close; nothing that happens to Redis ends it.

        The flag beside the cancellation, which ends the rests, too: inside a Redis call a cancellation can be swallowed
        by the client's timeout.
        """
        while not self._closed.is_set():
            try:
                await step()
                await rest_until(self._closed, pause_s)
            except AWAY:
                await rest_until(self._closed, 0.3)
            except ResponseError as error:
                if not is_full(error):
                    log.exception("queue step failed")
                await rest_until(self._closed, 1.0)

    async def _take(self) -> None:
        """Take as many jobs as there is room for, then wait for a signal, a free slot or the next poll."""
        self._work.clear()
        room = self._room()
        if room and not self._stopping.is_set():
            bulk_room = max(0, min(room, self.slots - self.slots // 4 - len(self.bulk)))
            replies = await self.queue.run("take", self.name, room, bulk_room)
            for reply in replies:
                self._spawn(reply[0].decode(), reply[1].decode(), self._run_reply, reply)
            if replies and self._room():
                return
        await rest_until(self._work, POLL_S)

    def _room(self) -> int:
        return 0 if self._suspects else max(0, self.slots - len(self.running))

    def _spawn(self, job_id: str, mid: str, run: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Run something under a lease as one of the running jobs."""
        entry = self.running[mid] = Running(job_id, mid)
        with about_job(job_id):  # all that the task logs is about it
            entry.task = asyncio.create_task(self._run(entry, run, *args), name=f"job-{job_id}")

    async def _run(self, entry: Running, run: Callable[..., Awaitable[None]], *args: Any) -> None:
        entry.started = True
        try:
            if entry.stop is not None:
                raise asyncio.CancelledError
            await run(entry, *args)
        except asyncio.CancelledError:
            if entry.stop == "shutdown":
                await self._give_back(entry)
            elif entry.stop == "user":
                await self._finish(entry, "canceled", b"", attempts=1)
        except AWAY:
            log.info("job %s: Redis is away before it began; its lease brings it back", entry.id)
        except Exception:
            log.exception("job %s: the runner failed; its lease brings it back", entry.id)
        finally:
            self.running.pop(entry.mid, None)
            self.bulk.discard(entry.mid)
            self._work.set()
            self._left.set()

    def _lost(self, mid: str) -> None:
        """Stop a job whose lease another worker has taken."""
        entry = self.running.get(mid)
        if entry is None or entry.finishing or entry.stop is not None:  # it has ended, and so given its lease up
            return
        with about_job(entry.id):
            log.warning("lost the lease of job %s; it ended elsewhere, or another worker has it", entry.id)
        entry.cancel("lost")

    def _adopt(self, taken: list[tuple[str, str]]) -> None:
        for mid, job_id in taken:
            self._spawn(job_id, mid, self._restart)
        self._reclaimed(len(taken))

    async def _restart(self, entry: Running) -> None:
        """Run a job taken over from a lost worker. One that lost two runs alone: it may be what killed them."""
        tries: Any = await self.queue.redis.hget(self.queue.keys.name("job", id=entry.id), "attempts")
        if int(tries or 0) < 2:
            return await self._restart_now(entry)
        self._suspects += 1
        self._left.set()  # one job less to wait for
        try:
            async with self._solo:
                while len(self.running) > self._suspects:  # the other jobs finish first
                    self._left.clear()
                    await self._left.wait()
                await self._restart_now(entry)
        finally:
            self._suspects -= 1

    async def _restart_now(self, entry: Running) -> None:
        settings = self.queue.settings
        verdict, *reply = await self.queue.run(
            "restart", self.name, entry.mid, entry.id, settings.attempts, int(settings.dead_ttl_s)
        )
        if verdict == b"run":
            await self._run_reply(entry, reply[0])

    async def _run_reply(self, entry: Running, reply: list[Any]) -> None:
        """One attempt: execute, then hand in what came of it."""
        job = job_of_reply(reply)
        if job.request_id is not None:
            learn(request_id=job.request_id)
        if job.bulk and not job.merging:
            self.bulk.add(entry.mid)
        begun = time.monotonic()
        outcome, body = await self._attempt(entry, job)
        entry.finishing = True
        await self._finish(entry, outcome, body, job.attempts)
        took_s = time.monotonic() - begun
        log_ended.info("%s %s", job.op, outcome, extra={"attempt": job.attempts, "duration_ms": round(took_s * 1e3, 2)})
        self._ended(job, outcome)

    async def _attempt(self, entry: Running, job: Job) -> Outcome:
        try:
            return await self._attempts.make(job)
        except asyncio.CancelledError:
            if entry.stop != "user":
                raise
            return "canceled", b""

    async def _finish(self, entry: Running, outcome: str, body: bytes, attempts: int) -> None:
        """Hand in the outcome; while Redis is away or full, keep it and try again: the lease stays ours."""
        settings, pause_s = self.queue.settings, 0.1
        back_off_s = min(60.0, self._retry_base_s * 2 ** max(0, attempts - 1)) * random.uniform(0.5, 1.0)
        while True:
            words = [
                self.name,
                entry.mid,
                entry.id,
                outcome,
                body,
                int(max(1, settings.result_ttl_s)),
                settings.attempts,
            ]
            try:
                await self.queue.run("finish", *words, time.time() + back_off_s, int(settings.dead_ttl_s))
                return
            except AWAY:
                pass
            except ResponseError as error:
                if not is_full(error):
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(1.0, pause_s * 2)

    async def _give_back(self, entry: Running) -> None:
        with contextlib.suppress(*AWAY, ResponseError):  # else its lease brings it back, later
            await self.queue.run("give_back", self.name, entry.mid, entry.id)

    def _on_cancel(self, job_id: str | None) -> None:
        for entry in list(self.running.values()):
            if entry.id == job_id:
                entry.cancel("user")
