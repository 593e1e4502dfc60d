"""Operations as jobs: what is put into the queue, and what a worker does with it. The same code runs in every role."""

import asyncio
import contextlib
import json
import logging
import time
from functools import partial
from typing import Any

from pydantic import BaseModel

from service.errors import (
    ConflictError,
    DeadlineError,
    GoneError,
    NotFoundError,
    OverloadedError,
    ServiceError,
)
from service.jobs.attempts import Emit
from service.jobs.job import Job, JobState
from service.jobs.runner import JobRunner
from service.operations.base import Attachments, Context, perform
from service.operations.job_inputs import discard, enqueue, inputs_of
from service.operations.parts import cut_up, merged, part_of
from service.operations.results import Result
from service.operations.sets import StoredSet, is_set, joined, made_before, opened, packed, part_size, sweep
from service.operations.state import State
from service.operations.table import OPERATIONS
from service.redis.failures import AWAY

log = logging.getLogger("ganymede.jobs")
SWEEP_S = 60.0


def pinned(state: State, operation: str, body: BaseModel) -> BaseModel:
    """The request with everything decided that an attempt would decide: the model's digest, the random seed, the precision."""
    body = OPERATIONS[operation].pin(body)
    if getattr(body, "precision", "") is None:
        body = body.model_copy(update={"precision": state.settings.precision})
    if "model" in type(body).model_fields:
        body = body.model_copy(update={"model": state.catalogue.get(getattr(body, "model", None)).reference})
    return body


def chunks_of(state: State, operation: str, body: BaseModel) -> list[tuple[int, bytes]]:
    """(pictures, part) of the parts that several workers may take; empty when it is one piece of work."""
    size = state.settings.job_chunk_pictures
    if is_set(body, state):
        size = part_size(state.catalogue.get(body.model), body)
    return cut_up(OPERATIONS[operation], body, size)


def start_runner(state: State) -> None:
    """Begin to run jobs on this process's engine."""
    runner = JobRunner(
        state.jobs,
        partial(execute, state),
        partial(merge, state),
        slots=state.settings.job_slots,
        ended=partial(_count_ended, state),
        reclaimed=partial(state.metrics.add, "jobs_reclaimed"),
    )
    runner.start()
    state.runner = runner
    if state.results is not None:
        state.tasks.append(asyncio.create_task(keep_tidy(state), name="results"))


async def execute(state: State, job: Job, emit: Emit) -> bytes:
    """Run the operation of a job; the packed result. Raises ServiceError."""
    await state.complete()
    row = OPERATIONS.get(job.op)
    if row is None:
        raise NotFoundError(f"this worker does not know the operation {job.op!r}")
    left_s = None if job.deadline is None else time.monotonic() + (job.deadline - time.time())
    part = part_of(job.part)
    context = Context(state, job.caller, left_s, emit, job.bulk, job.request_id or job.id, part)
    payload, attachments = await asyncio.to_thread(inputs_of, state, job)
    body = row.request.model_validate_json(payload)
    await _need_model(state, body)
    with (
        state.catalogue.accepted(),
        state.tracing.job(job.op, job.id, job.attempts, job.trace or "", job.created_at),
    ):
        of_set = job.parent is not None and is_set(body, state)
        if of_set and (made := await asyncio.to_thread(made_before, state, job)) is not None:
            return made
        result = await perform(row, context, body, attachments)
        return await asyncio.to_thread(packed, state, job, result, part=of_set)


async def _need_model(state: State, body: BaseModel) -> None:
    """A version that was unloaded after the job was accepted is opened once more."""
    reference = getattr(body, "model", None)
    if reference is not None and any(bundle.reference == reference for bundle in state.catalogue.unloaded()):
        await asyncio.to_thread(state.catalogue.reopen, reference)


async def merge(state: State, job: Job, parts: list[bytes]) -> bytes:
    """The parts of a split job as one result, in order. Raises ConflictError when they do not belong together."""

    def put_together() -> bytes:
        found = joined(state.results, parts)
        return found if isinstance(found, bytes) else packed(state, job, merged(found), part=False)

    return await asyncio.to_thread(put_together)


async def keep_tidy(state: State) -> None:
    """Remove results that no job needs any more, for ever."""
    while True:
        await asyncio.sleep(SWEEP_S)
        try:
            if await state.redis.set(state.keys.name("sweeper"), "1", nx=True, ex=int(SWEEP_S) - 1):
                await sweep(state)
        except (*AWAY, ServiceError) as error:
            log.info("results are not swept now: %s", error)


async def run_elsewhere(context: Context, operation: str, body: BaseModel, attachments: Attachments) -> Result:
    """Run an operation on some worker, through the queue, and bring its events and its result back.

    Raises what the operation raised there, OverloadedError when the queue is full. Cancelling this cancels the job.
    """
    jobs = context.state.jobs
    body = pinned(context.state, operation, body)
    deadline = context.unix_deadline()
    job = await enqueue(context, operation, body, attachments, deadline=deadline, transient=True)
    try:
        async for _, name, data in jobs.events(job.id):
            if name in {"progress", "level", "frame", "log"}:
                await context.emit(name, data)
        result = await result_of(context.state, await jobs.get(job.id))
        if isinstance(result, StoredSet):
            raise ServiceError("an immediate request gave a set")
        await jobs.forget(job.id)
        return result
    except asyncio.CancelledError:
        with contextlib.suppress(ServiceError):  # the store is away: the job's deadline ends it
            await asyncio.shield(jobs.cancel(job.id))
        raise


async def result_of(state: State, job: Job) -> Result | StoredSet:
    """The result of an ended job. Raises what ended it: its own error, 409 canceled, 504 expired, 410 gone."""
    if job.state == JobState.FAILED:
        raise error_of(job.error or {})
    if job.state == JobState.CANCELED:
        raise ConflictError("the job was canceled")
    if job.state == JobState.EXPIRED:
        raise DeadlineError("the deadline passed before the job was done")
    data = await state.jobs.result(job.id)
    if data is None:
        raise GoneError("the result has expired; results are kept for a limited time")
    return await asyncio.to_thread(opened, state.results, data)


def error_of(problem: dict[str, Any]) -> ServiceError:
    """The error that a problem object came from, so that every role answers the same."""
    detail, status = str(problem.get("detail", "the job failed")), int(problem.get("status", 500))
    if status == OverloadedError.status:
        return OverloadedError(detail, retry_after_s=1.0)
    kind = next((kind for kind in ServiceError.__subclasses__() if kind.status == status), ServiceError)
    return kind(detail, errors=problem.get("errors", ()))


def fingerprint_of(operation: str, body: BaseModel, attachments: Attachments) -> bytes:
    """What must be equal for the same Idempotency-Key: the request as it was sent, not what was drawn for it."""
    sent = {"op": operation, "body": body.model_dump(mode="json", exclude_unset=True, by_alias=True)}
    return b"\0".join([json.dumps(sent, sort_keys=True).encode(), *[k.encode() + v for k, v in attachments.items()]])


def _count_ended(state: State, job: Job, outcome: str) -> None:
    state.metrics.add("jobs_ended", op=job.op, state=outcome)
    # another end leaves them to the sweep, or to a requeue
    if outcome == "succeeded" and job.parent is None and job.attachments:
        asyncio.get_running_loop().run_in_executor(None, discard, state, job.attachments)
