"""GET /jobs…: records, results in any representation, resumable events, cancelling, the dead-letter list."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from service.errors import InvalidValueError
from service.http.negotiation import GIF, JSON, NPY, PICTURE_TYPES, SSE, choose
from service.http.openapi import EVENT_STREAM, PICTURES, PROBLEMS, document
from service.http.parameters import Cursor
from service.http.permissions import check_owner, need_scope, visible_caller
from service.http.responses.events import server_sent
from service.http.responses.job_answers import record_of, record_response
from service.http.responses.respond import respond
from service.http.responses.sets import respond_set
from service.http.state import state_of
from service.jobs.queue import JobQueue
from service.operations.jobs import result_of
from service.operations.requests import Delivery
from service.operations.results import Pictures
from service.operations.sets import StoredSet

router = APIRouter(tags=["jobs"])

JobId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="The id in a job's record.")]
CURSOR = re.compile(r"\d{1,12}(\.\d{1,9})?\Z")
EVENTS: dict[int | str, dict[str, Any]] = {
    **PROBLEMS,
    200: {"description": "Server-sent events", "content": {SSE: EVENT_STREAM}},
}


def _jobs(request: Request) -> JobQueue:
    return state_of(request.app).jobs


@router.get("/jobs", responses=document("JobPage"), response_class=JSONResponse, summary="Jobs, newest first")
async def list_jobs(
    request: Request,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """The caller's own jobs; all of them for an admin key, or on a server without keys."""
    if cursor is not None and not CURSOR.match(cursor):
        raise InvalidValueError("this is no cursor", pointer="/cursor", hint="take next_cursor")
    before = None if cursor is None else float(cursor)
    found = await _jobs(request).list(caller=visible_caller(request), cursor=before, limit=limit)
    following = repr(found[-1].created_at) if len(found) == limit else None
    return JSONResponse({"data": [record_of(request, job) for job in found], "next_cursor": following})


@router.get("/jobs/dead", responses=document("JobPage"), response_class=JSONResponse, summary="Jobs out of attempts")
async def list_dead(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
    """The dead-letter list, latest first: what to look at, and then to requeue or to leave. Needs the scope admin."""
    need_scope(request, "admin")
    found = await _jobs(request).dead(limit)
    return JSONResponse({"data": [record_of(request, job) for job in found], "next_cursor": None})


@router.get("/jobs/{job_id}", responses=document("Job"), response_class=JSONResponse, summary="The record of a job")
async def get_job(request: Request, job_id: JobId) -> Response:
    """State, place in the queue, progress, attempts, times, error, addresses."""
    return record_response(request, check_owner(request, await _jobs(request).get(job_id)))


@router.get("/jobs/{job_id}/result", responses=PICTURES, response_class=Response, summary="The result of a job")
async def get_result(
    request: Request,
    job_id: JobId,
    first: Annotated[int, Query(ge=0, le=100_000, description="Of a set: the first picture wanted.")] = 0,
    count: Annotated[int | None, Query(ge=1, le=100_000, description="Of a set: how many; absent: all.")] = None,
) -> Response:
    """In any representation; 202 while unfinished, 410 once expired, its own error when it failed.

    A set comes as zip, npz or npy, streamed; up to `max_pictures` of it, by `first` and `count`, in any representation.
    """
    state = state_of(request.app)
    job = check_owner(request, await state.jobs.get(job_id))
    if not job.ended:
        return record_response(request, job, 202)
    result = await result_of(state, job)
    delivery = Delivery.model_validate_json(job.meta or "{}")
    if isinstance(result, StoredSet):
        return await respond_set(request, result, delivery, first, count)
    offered: tuple[str, ...] = tuple(kind for kind in PICTURE_TYPES if kind != SSE)
    if not isinstance(result, Pictures):
        offered = (JSON, NPY)
    elif result.animation is not None:
        offered += (GIF,)
    media = choose(request.headers.get("accept"), offered)
    return await respond(request, result, media, delivery)


@router.get("/jobs/{job_id}/events", responses=EVENTS, response_class=Response, summary="What happens to a job")
async def get_events(request: Request, job_id: JobId) -> Response:
    """Server-sent events with ids; `Last-Event-ID` resumes after the last one seen. Ends when the job has ended."""
    choose(request.headers.get("accept"), (SSE,))
    check_owner(request, await _jobs(request).get(job_id))
    events = server_sent(_jobs(request).events(job_id, request.headers.get("last-event-id")))
    return StreamingResponse(events, media_type=SSE, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


@router.post("/jobs/{job_id}/cancel", responses=document("Job"), response_class=JSONResponse, summary="Cancel a job")
async def cancel_job(request: Request, job_id: JobId) -> Response:
    """Idempotent. A queued job ends at once, a running one at its next batch or level."""
    check_owner(request, await _jobs(request).get(job_id))
    return record_response(request, await _jobs(request).cancel(job_id))


@router.post(
    "/jobs/{job_id}/requeue", responses=document("Job"), response_class=JSONResponse, summary="Try a dead job again"
)
async def requeue_job(request: Request, job_id: JobId) -> Response:
    """Gives a job of the dead-letter list its attempts back. Needs the scope admin."""
    need_scope(request, "admin")
    return record_response(request, await _jobs(request).requeue(job_id))
