"""What a job was given: small inputs travel in Redis, large ones lie in the results store until the job has succeeded.

Redis then holds a mark under another name than an input has, so that no upload can pass for one.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from service.errors import ServiceError
from service.jobs.job import Job, new_job_id
from service.observability.logs import learn
from service.operations.base import Attachments, Context
from service.operations.sets import Stored, need_store, read_stored
from service.operations.state import State
from service.operations.table import OPERATIONS

STORED = "stored:"
PAYLOAD = "payload"


async def enqueue(context: Context, operation: str, body: BaseModel, attachments: Attachments, **options: Any) -> Job:
    """`JobQueue.enqueue` of a request and whoever asks, after large inputs were put away.

    Raises what that raises, and what the results store raises.
    """
    state, job_id = context.state, new_job_id()
    payload = body.model_dump_json(exclude_unset=True, by_alias=True).encode()
    carried = await asyncio.to_thread(_put_away, state, job_id, {PAYLOAD: payload, **attachments})
    kept = {**carried}
    job = None
    try:
        job = await state.jobs.enqueue(
            operation,
            kept.pop(PAYLOAD, b""),
            kept,
            job_id=job_id,
            caller=context.caller,
            cost=OPERATIONS[operation].cost(body),
            model=getattr(body, "model", None),
            request_id=context.request_id,
            trace=state.tracing.traceparent(),
            **options,
        )
    finally:
        if job is None or job.id != job_id:  # refused, or the job that this Idempotency-Key had before
            await asyncio.to_thread(discard, state, carried)
    learn(job_id=job.id)
    return job


def inputs_of(state: State, job: Job) -> tuple[bytes, Attachments]:
    """The payload and the attachments of a job that a worker took. Blocks. Raises GoneError and UnavailableError."""
    found = {name: data for name, data in job.attachments.items() if not name.startswith(STORED)}
    for name, mark in _marks(job.attachments):
        found[name] = read_stored(need_store(state.results), mark)
    return found.pop(PAYLOAD, job.payload), found


def discard(state: State, carried: Attachments) -> None:
    """Remove what lies in the store of these inputs; a store that is away is swept later. Blocks."""
    for _, mark in _marks(carried):
        try:
            need_store(state.results).discard(mark.name)
        except ServiceError:
            return


def _put_away(state: State, job_id: str, inputs: Mapping[str, bytes]) -> dict[str, bytes]:
    """What Redis gets of the inputs: the small ones, and marks of the large ones."""
    if state.results is None:
        return dict(inputs)
    carried = {}
    for name, data in inputs.items():
        if len(data) <= state.settings.result_inline_bytes:
            carried[name] = data
            continue
        mark = Stored(f"{job_id}/input-{name}", len(data), hashlib.sha256(data).hexdigest())
        state.results.put(mark.name, data)
        carried[STORED + name] = json.dumps(asdict(mark)).encode()
    return carried


def _marks(carried: Attachments) -> list[tuple[str, Stored]]:
    rows = [(name, data) for name, data in carried.items() if name.startswith(STORED)]
    return [(name.removeprefix(STORED), Stored.of(json.loads(data))) for name, data in rows]
