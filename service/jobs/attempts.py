"""One attempt at a job: what comes of executing it, as an outcome of the FINISH script.

Knows neither leases nor slots (those are the runner's) nor what a job computes: that is the `execute` callback.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

from redis.exceptions import ResponseError

from service.errors import ServiceError
from service.jobs.job import Job, job_from_hash
from service.jobs.queue import JobQueue
from service.redis.failures import AWAY

log = logging.getLogger("ganymede.jobs")

Emit = Callable[[str, dict[str, Any]], Coroutine[Any, Any, None]]
Execute = Callable[[Job, Emit], Awaitable[bytes]]
Merge = Callable[[Job, list[bytes]], Awaitable[bytes]]
Outcome = tuple[str, bytes]
"""`succeeded` and the result; `failed` or `retry` and the problem as JSON; `canceled` or `expired` and nothing."""

PROGRESS_EVERY_S = 0.1
PASSING = frozenset({429, 503, 507})  # refusals that another attempt may not meet


class Attempts:
    """Makes attempts. `merge` joins the parts of a job that was done in parts."""

    def __init__(self, queue: JobQueue, execute: Execute, merge: Merge) -> None:
        self._queue, self._execute, self._merge = queue, execute, merge

    async def make(self, job: Job) -> Outcome:
        """Execute until the job's deadline; whatever fails becomes an outcome. Cancelling it raises CancelledError."""
        limit_s = None if job.deadline is None else max(0.0, job.deadline - time.time())
        try:
            async with asyncio.timeout(limit_s) as limit:
                return "succeeded", await self._compute(job)
        except TimeoutError:
            if limit.expired():
                return "expired", b""
            return "retry", _problem(job, ServiceError("a step of the job timed out"))
        except ServiceError as error:
            return "retry" if error.status in PASSING else "failed", _problem(job, error)
        except Exception as error:
            log.exception("job %s failed", job.id)
            return "retry", _problem(job, ServiceError(f"the job failed with {type(error).__name__}"))

    async def _compute(self, job: Job) -> bytes:
        if not job.merging:
            return await self._execute(job, self._emitter(job))
        parts = [await self._queue.result(f"{job.id}.{index}") for index in range(job.chunks)]
        if any(part is None for part in parts):
            raise ServiceError("a part of the result has expired before the last one was done")
        return await self._merge(job, [part for part in parts if part is not None])

    def _emitter(self, job: Job) -> Emit:
        last_s = 0.0

        async def emit(name: str, data: dict[str, Any]) -> None:
            """Events are a courtesy: they are thinned out, and one that cannot be stored does not stop the job."""
            nonlocal last_s
            if name == "progress" and data.get("done") != data.get("total"):
                if time.monotonic() - last_s < PROGRESS_EVERY_S:
                    return
                last_s = time.monotonic()
            whose = job.id if name == "progress" else job.parent or job.id  # the queue counts the parts by itself
            try:
                await self._queue.note(whose, name, data)
            except (*AWAY, ResponseError) as error:
                log.debug("event of job %s dropped: %s", job.id, error)

        return emit


def _problem(job: Job, error: ServiceError) -> bytes:
    return json.dumps(error.problem(f"/jobs/{job.parent or job.id}")).encode()


def job_of_reply(reply: list[Any]) -> Job:
    """The job of a TAKE or RESTART reply: [id, mid, attempt, record, input, parent's input]; hashes as flat lists."""
    job_id, _, attempt, record, own, inherited = reply
    fields = {**_pairs(inherited), **_pairs(own)}
    attachments = {name[2:].decode(): data for name, data in fields.items() if name.startswith(b"a:")}
    job = job_from_hash(job_id.decode(), _pairs(record))
    payload, part = fields.get(b"payload", b""), fields.get(b"part", b"")
    return replace(job, attempts=int(attempt), payload=payload, part=part, attachments=attachments)


def _pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
