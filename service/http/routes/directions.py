"""/directions: named directions, saved ones and those that ship with a bundle."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from models.mathematics.directions import read_directions
from service.http.negotiation import DOCUMENT_TYPES, JSON, NPY, choose
from service.http.openapi import PROBLEMS, document
from service.http.parameters import Cursor, Name
from service.http.responses.answers import answer, context_of
from service.http.responses.respond import respond
from service.http.state import state_of
from service.latents import Saved
from service.latents.names import REFERENCE_PATTERN
from service.operations.directions import (
    DirectionRequest,
    describe_direction,
    describe_shipped,
    find_direction,
    precheck,
)
from service.operations.requests import Delivery
from service.operations.results import Document
from service.operations.state import State

router = APIRouter(tags=["latents"])
Model = Annotated[str | None, Query(pattern=REFERENCE_PATTERN)]


@router.post(
    "/directions",
    responses=document("Direction", array=True, job=True),
    response_class=Response,
    summary="Find and keep a direction",
)
async def post_direction(request: Request, body: DirectionRequest) -> Response:
    """From two sets of latents, an expression, a class of the bundle's classifier, or a principal component."""
    await precheck(context_of(request), body)
    return await answer(request, "direction", body, offered=DOCUMENT_TYPES)


@router.get(
    "/directions",
    responses=document("DirectionPage"),
    summary="Directions: shipped ones, then saved ones, newest first",
)
async def list_directions(
    request: Request,
    model: Model = None,
    q: Annotated[str, Query(max_length=64)] = "",
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> dict[str, Any]:
    """The first page begins with what ships with the bundles; `model` narrows both."""
    state = state_of(request.app)
    name = None if model is None else state.catalogue.get(model).bundle.name
    page = await state.directions.page(model=name, prefix=q, cursor=cursor, limit=limit)
    shipped = [] if cursor else await asyncio.to_thread(_shipped, state, name, q)
    return {"data": [*shipped, *(describe_direction(item) for item in page.items)], "next_cursor": page.cursor}


def _shipped(state: State, model: str | None, prefix: str) -> list[dict[str, Any]]:
    served = [m for m in state.catalogue.all() if model in (None, m.bundle.name)]
    pairs = [(m.reference, found) for m in served for found in read_directions(m.bundle).values()]
    return [describe_shipped(found, reference) for reference, found in pairs if found.name.startswith(prefix)]


@router.get(
    "/directions/{name}",
    responses=document("Direction", array=True),
    response_class=Response,
    summary="Read a direction",
)
async def get_direction(request: Request, name: Name, model: Model = None) -> Response:
    """JSON, or the vector as `application/x-npy`; `model` says whose, where several bundles ship the same name."""
    media = choose(request.headers.get("accept"), (JSON, NPY))
    context = context_of(request)
    saved = (await context.state.directions.find([name])).get(name)
    reference = saved.reference if saved and model is None else model
    served = context.state.catalogue.get(reference)
    found = await find_direction(context, served, name)
    body = describe_direction(found) if isinstance(found, Saved) else describe_shipped(found, served.reference)
    if media == JSON:
        body["values"] = found.vector.tolist()
    return await respond(request, Document(body, found.vector, model=served.reference), media, Delivery())


@router.delete("/directions/{name}", status_code=204, responses=PROBLEMS, response_class=Response, summary="Remove")
async def delete_direction(request: Request, name: Name) -> Response:
    """Only saved directions can be removed."""
    state = state_of(request.app)
    await state.directions.delete(name)
    return Response(status_code=204)
