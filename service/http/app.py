"""The FastAPI application: middleware, routers and handlers, in order."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.errors import ServerErrorMiddleware

from service.engine.catalogue import Opening
from service.http import problems
from service.http.fast.handler import SampleHandler
from service.http.gate import Gate
from service.http.hosts import HostPolicy
from service.http.openapi import name_parts
from service.http.routes import (
    arithmetic,
    directions,
    discriminator,
    docs,
    health,
    images,
    inference,
    interpolate,
    jobs,
    latents,
    models,
    openai,
    project,
    redo,
    repository,
    sample,
    training_runs,
    upsample,
    web,
)
from service.http.state import state_of
from service.operations.discriminator import DiscriminatorRequest
from service.operations.jobs import start_runner
from service.operations.project import ProjectRequest
from service.operations.state import build_state, close_state
from service.operations.upsample import UpsampleRequest
from service.settings import Settings

ROUTERS = (
    sample.router,
    arithmetic.router,
    interpolate.router,
    upsample.router,
    latents.router,
    directions.router,
    project.router,
    discriminator.router,
    redo.router,
    jobs.router,
    images.router,
    models.router,
    health.router,
    inference.router,
    repository.router,
    openai.router,
    docs.router,
    training_runs.router,
    web.router,
)
VERSION = "0.1.0"


def build_app(settings: Settings, opening: Opening | None = None, release: Callable[[], bool] | None = None) -> FastAPI:
    """The application of one process; its state is built when the server starts and closed when it stops.

    `opening` hears of the bundles as they are opened; `release` says of an answer whether it ends its connection.
    """

    hosts = HostPolicy(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        state = app.state.ganymede = await build_state(settings, opening)
        if state.engine is not None:
            if settings.role != "worker" and state.keyring is None and not state.tracing.is_on:
                app.state.handler = SampleHandler(state, state.engine, hosts)
            start_runner(state)
        try:
            yield
        finally:
            if state.runner is not None:
                await state.runner.stop(settings.drain_s)
            await close_state(state)

    app = FastAPI(
        title="Ganymede",
        version=VERSION,
        summary="A model server for generative adversarial networks",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    name_parts(app, forms=(UpsampleRequest, ProjectRequest, DiscriminatorRequest))
    problems.install(app)
    for router in ROUTERS if settings.role != "worker" else (health.router,):
        app.include_router(router)
    if settings.role != "worker":
        docs.mount_assets(app)
    inside = app.build_middleware_stack()
    # without the framework's answer to what nobody foresaw, which is text: the gate has a problem for it
    if isinstance(inside, ServerErrorMiddleware):
        inside = inside.app
    larger = {"/latents/import": settings.max_import_bytes}
    app.middleware_stack = Gate(inside, lambda: state_of(app), hosts, settings.max_body_bytes, larger, release)
    return app


def handler_of(app: FastAPI) -> SampleHandler | None:
    """The fast way of an application; None before it started and where it has no engine."""
    handler: SampleHandler | None = getattr(app.state, "handler", None)
    return handler
