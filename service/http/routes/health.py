"""Liveness, readiness and metrics."""

import asyncio
import contextlib

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from service.errors import UnavailableError
from service.http.openapi import PROBLEMS
from service.http.problems import problem_response
from service.http.state import state_of
from service.operations.state import State
from service.redis.failures import AWAY

router = APIRouter(tags=["health"])


@router.get("/livez", summary="The process runs")
async def livez() -> dict[str, str]:
    """200 as long as the event loop turns."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: PROBLEMS[503]}, summary="It can take work")
async def readyz(request: Request) -> Response:
    """200 when bundles are loaded, it is not draining and a worker's store answers; 503 with a Retry-After otherwise."""
    state = state_of(request.app)
    if (lacking := why_not_ready(state)) is not None:
        return problem_response(UnavailableError(lacking, headers={"Retry-After": "2"}), "/readyz")
    return JSONResponse({"status": "ready", "models": len(state.catalogue.all()), "draining": False})


def why_not_ready(state: State) -> str | None:
    """Why no work should be sent here; None when it may. A worker needs the store: its work comes from there."""
    if state.draining:
        return "draining"
    if not state.catalogue.ready or not state.catalogue.all():
        return "no bundle is loaded"
    if state.settings.role == "worker" and state.runner is not None and state.runner.heartbeat.away:
        return "the store cannot be reached"
    return None


@router.get("/metrics", response_class=Response, summary="Prometheus metrics")
async def metrics(request: Request) -> Response:
    """The exposition format; with several processes behind the port each sample names its own."""
    state = state_of(request.app)
    with contextlib.suppress(*AWAY):  # the process's own metrics matter most when Redis is away
        for name, count in (await state.jobs.load()).counts().items():
            state.metrics.set("jobs", count, state=name)
    text = (
        state.metrics.text() if state.process_metrics is None else await asyncio.to_thread(state.process_metrics.text)
    )
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
