"""Requests that become jobs: which do, how they are accepted, and how a job's result becomes a response."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.errors import MalformedError
from service.http.responses.respond import cancel_on_disconnect, respond
from service.http.state import state_of
from service.jobs.job import Job
from service.jobs.webhooks import check_url
from service.operations.base import Attachments, Context
from service.operations.job_inputs import enqueue
from service.operations.jobs import chunks_of, fingerprint_of, pinned, result_of
from service.operations.requests import Delivery, delivery_of
from service.operations.sets import StoredSet, check_quota, is_set, note_set
from service.operations.table import OPERATIONS

WAIT = re.compile(r"wait=(\d{1,4})\Z")
KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")


@dataclass(frozen=True)
class JobPreference:
    """Why a request is a job: `asynchronous` ones answer 202 at once or after `wait_s`; `reason` says why unasked."""

    asynchronous: bool
    wait_s: float | None = None
    idempotency_key: str | None = None
    reason: str | None = None
    asked: bool = False


def job_preference(request: Request, operation: str, body: BaseModel, *, streams: bool) -> JobPreference | None:
    """The preference to be a job, from Prefer, Idempotency-Key, webhook and the size of the request; None for a plain one."""
    state = state_of(request.app)
    wanted = [part.strip().lower() for part in ",".join(request.headers.getlist("prefer")).split(",")]
    wait_s = next((float(found[1]) for part in wanted if (found := WAIT.match(part))), None)
    key = _key(request.headers.get("idempotency-key"))
    if "respond-async" in wanted:
        return JobPreference(True, wait_s, key, asked=True)
    if delivery_of(body).webhook is not None:
        return JobPreference(True, wait_s, key, reason="a request with a webhook is a job")
    pictures = OPERATIONS[operation].cost(body)
    if pictures > state.settings.async_pictures and not streams:
        reason = f"{pictures} pictures are too many to wait for (up to {state.settings.async_pictures} are)"
        return JobPreference(True, wait_s, key, reason=reason)
    return JobPreference(False, None, key) if key is not None else None


def _key(header: str | None) -> str | None:
    if header is not None and not KEY.match(header):
        raise MalformedError("Idempotency-Key must be 1 to 255 visible ASCII characters")
    return header


async def answer_as_job(
    request: Request,
    context: Context,
    operation: str,
    body: BaseModel,
    attachments: Attachments,
    media: str,
    preference: JobPreference,
) -> Response:
    """Put a request into the queue; answer its result if it ends while the client waits, else 202."""
    state = context.state
    job = await _accept(request, context, operation, body, attachments, preference)
    wait_s = preference.wait_s if preference.asynchronous else context.left_s()
    if is_set(body, state):
        wait_s = None  # nobody waits for a set
    if wait_s is not None and not job.ended:
        job = await cancel_on_disconnect(request, state.jobs.wait(job.id, wait_s))
    if wait_s is not None and job.ended:
        result = await result_of(state, job)
        if not isinstance(result, StoredSet):
            return await respond(request, result, media, delivery_of(body))
    headers = {"Preference-Applied": "respond-async"} if preference.asked else {}
    return record_response(request, job, 202, {"reason": preference.reason} if preference.reason else {}, headers)


async def _accept(
    request: Request,
    context: Context,
    operation: str,
    body: BaseModel,
    attachments: Attachments,
    preference: JobPreference,
) -> Job:
    state, delivery = context.state, delivery_of(body)
    if delivery.webhook is not None:
        check_url(delivery.webhook, state.settings.webhook_hosts)
    fixed = pinned(state, operation, body)
    size = await check_quota(state, context.caller, fixed) if is_set(fixed, state) else None
    bulk = preference.asynchronous or size is not None
    timed = delivery.timeout_ms is not None or "x-deadline-ms" in request.headers or not bulk
    job = await enqueue(
        context,
        operation,
        fixed,
        attachments,
        bulk=bulk,
        deadline=context.unix_deadline() if timed else None,
        idempotency_key=preference.idempotency_key,
        fingerprint=fingerprint_of(operation, body, attachments),
        webhook=delivery.webhook,
        meta=delivery.model_dump_json(include=set(Delivery.model_fields), exclude_defaults=True),
        chunks=chunks_of(state, operation, fixed) if bulk else (),
    )
    if size is not None:
        await note_set(state, job, size)
    return job


def record_of(request: Request, job: Job) -> dict[str, Any]:
    """The record of a job with its addresses."""
    state = state_of(request.app)
    self_url = f"{state.settings.public_url or ''}/jobs/{job.id}"
    urls = {"self": self_url} | {name: f"{self_url}/{name}" for name in ("result", "events", "cancel")}
    return {**job.public(), "urls": urls}


def record_response(
    request: Request, job: Job, status: int = 200, extra: Mapping[str, Any] | None = None, headers: Any = None
) -> Response:
    """The record as a response; 202 says where to look."""
    where = {"Location": f"/jobs/{job.id}"} if status == 202 else {}
    return JSONResponse({**record_of(request, job), **(extra or {})}, status, {**where, **(headers or {})})
