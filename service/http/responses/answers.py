"""From a validated request to a response: run the operation, watch the client, represent the result."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from itertools import count
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.errors import UNFORESEEN, DeadlineError, MalformedError, ServiceError
from service.http.negotiation import PICTURE_TYPES, SSE, choose
from service.http.permissions import check_keeping
from service.http.responses.events import server_sent
from service.http.responses.job_answers import answer_as_job, job_preference
from service.http.responses.represent import envelope
from service.http.responses.respond import cancel_on_disconnect, respond
from service.http.state import state_of
from service.jobs.events import Event
from service.operations.base import Attachments, Context, perform
from service.operations.jobs import run_elsewhere
from service.operations.requests import Delivery, delivery_of
from service.operations.results import Document, Pictures, Result
from service.operations.state import State
from service.operations.table import OPERATIONS

log = logging.getLogger("ganymede.requests")


async def answer(
    request: Request,
    operation: str,
    body: BaseModel,
    attachments: Attachments | None = None,
    offered: tuple[str, ...] = PICTURE_TYPES,
) -> Response:
    """Run one operation for an HTTP request and answer in the representation that Accept asks for."""
    media = choose(request.headers.get("accept"), offered)
    delivery = delivery_of(body)
    context = context_of(request, delivery.timeout_ms)
    check_keeping(request, body)
    preference = job_preference(request, operation, body, streams=media == SSE)
    if preference is not None:
        return await answer_as_job(request, context, operation, body, attachments or {}, media, preference)
    if media == SSE:
        events = _events(context, operation, body, attachments or {})
        return StreamingResponse(server_sent(events), media_type=SSE)
    result = await cancel_on_disconnect(request, run(context, operation, body, attachments or {}))
    return await respond(request, result, media, delivery)


async def pictures_of(request: Request, operation: str, body: Delivery) -> Pictures:
    """Run one operation for an endpoint that has a representation of its own for its pictures."""
    context = context_of(request, body.timeout_ms)
    result = await cancel_on_disconnect(request, run(context, operation, body, {}))
    if not isinstance(result, Pictures):
        raise ServiceError(f"{operation} gave no pictures")
    return result


def context_of(request: Request, timeout_ms: int | None = None) -> Context:
    """Who asks, and until when: `timeout_ms`, else X-Deadline-Ms, else the server's own limit."""
    state = state_of(request.app)
    timeout_s = state.settings.timeout_s if timeout_ms is None else timeout_ms / 1e3
    if timeout_ms is None and (header := request.headers.get("x-deadline-ms")):
        timeout_s = _milliseconds(header) / 1e3
    return Context(
        state=state,
        caller=getattr(request.state, "caller", "") or (request.client.host if request.client else ""),
        deadline=time.monotonic() + timeout_s,
        request_id=getattr(request.state, "request_id", ""),
    )


def _milliseconds(header: str) -> int:
    if not (header.isascii() and header.isdigit() and 0 < int(header) <= 3_600_000):
        raise MalformedError("X-Deadline-Ms must be a whole number of milliseconds, 1 to 3600000")
    return int(header)


async def run(context: Context, operation: str, body: BaseModel, attachments: Attachments) -> Result:
    """The operation itself, bounded by the deadline. Raises DeadlineError, or what the operation raises."""
    try:
        async with asyncio.timeout(context.left_s()):
            if context.state.engine is None:
                return await run_elsewhere(context, operation, body, attachments)
            return await perform(OPERATIONS[operation], context, body, attachments)
    except TimeoutError:
        raise DeadlineError("the deadline passed before the answer was ready") from None


async def _events(
    context: Context, operation: str, body: BaseModel, attachments: Attachments
) -> AsyncGenerator[Event, None]:
    """What the operation reports as it happens, numbered from one, then `result` or `error`."""
    told: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    async def emit(event: str, data: dict[str, Any]) -> None:
        told.put_nowait((event, data))

    task = asyncio.ensure_future(_finish(replace(context, emit=emit), operation, body, attachments))
    try:
        for number in count(1):
            event, data = await told.get()
            yield str(number), event, data
            if event in {"result", "error"}:
                return
    finally:
        task.cancel()


async def _finish(context: Context, operation: str, body: BaseModel, attachments: Attachments) -> None:
    asked = f"urn:ganymede:request:{context.request_id}"
    try:
        result = await run(context, operation, body, attachments)
        await context.emit("result", await asyncio.to_thread(result_event, context.state, result, delivery_of(body)))
    except ServiceError as error:
        context.state.metrics.refused(error)
        await context.emit("error", error.problem(asked))
    except Exception:
        log.exception("unforeseen failure in the stream of %s", operation)
        await context.emit("error", ServiceError(UNFORESEEN).problem(asked))


def result_event(state: State, result: Result, delivery: Delivery) -> dict[str, Any]:
    """The final event: the JSON envelope, or the document."""
    if isinstance(result, Document):
        return dict(result.body)
    return envelope(result, delivery, state.settings.public_url or "")
