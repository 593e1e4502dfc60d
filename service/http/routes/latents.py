"""/latents: save, list, read, rename, retag, remove; lineage; export and import."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from service.errors import MalformedError
from service.http.negotiation import JSON, NPY, PICTURE_TYPES, choose
from service.http.openapi import PROBLEMS, document
from service.http.parameters import Cursor, Name
from service.http.responses.answers import answer, context_of
from service.http.responses.respond import respond
from service.http.state import state_of
from service.latents.archive import Conflict, export, read, restore
from service.latents.names import NAME_PATTERN
from service.operations.latents import ChangeRequest, SaveRequest, describe, save
from service.operations.lineage import lineage
from service.operations.requests import Delivery
from service.operations.results import Document
from service.operations.sample import SampleRequest

router = APIRouter(tags=["latents"])
NDJSON = "application/x-ndjson"
Filter = Annotated[str | None, Query(pattern=NAME_PATTERN)]
Prefix = Annotated[str, Query(max_length=64, description="The name begins with this.")]
READ = document("Latent", array=True, picture=True)
IMPORT = {"requestBody": {"required": True, "content": {NDJSON: {"schema": {"type": "string"}}}}}
EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {"description": "One line a latent", "content": {NDJSON: {"schema": {"type": "string"}}}},
    **PROBLEMS,
}


@router.post("/latents", status_code=201, responses=document("Latent", status=201), summary="Save a latent")
async def post_latent(request: Request, body: SaveRequest) -> Response:
    """From a seed, numbers, an expression, or a picture of ours (base64 or a data: URL), whose recipe is read back."""
    saved = await save(context_of(request), body)
    return JSONResponse(describe(saved), 201, {"Location": f"/latents/{saved.name}"})


@router.get("/latents", responses=document("LatentPage"), summary="List saved latents, newest first")
async def list_latents(
    request: Request,
    model: Filter = None,
    tag: Filter = None,
    q: Prefix = "",
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> dict[str, Any]:
    """Stable cursors: what is saved or deleted between two pages neither repeats nor hides another."""
    page = await state_of(request.app).latents.page(model=model, tag=tag, prefix=q, cursor=cursor, limit=limit)
    return {"data": [describe(item) for item in page.items], "next_cursor": page.cursor}


@router.get("/latents/export", responses=EXPORTED, response_class=Response, summary="Every saved latent as one file")
async def get_export(request: Request, model: Filter = None, tag: Filter = None, q: Prefix = "") -> Response:
    """NDJSON with a header line; POST /latents/import takes it back."""
    lines = export(state_of(request.app).latents, model=model, tag=tag, prefix=q)
    first = await anext(lines)  # trouble with Redis becomes a problem document and not a cut file

    async def body() -> Any:
        yield first
        async for line in lines:
            yield line

    headers = {"Content-Disposition": 'attachment; filename="latents.ndjson"'}
    return StreamingResponse(body(), media_type=NDJSON, headers=headers)


@router.post(
    "/latents/import", responses=document("Imported"), openapi_extra=IMPORT, summary="Take an exported file back"
)
async def post_import(
    request: Request,
    conflict: Annotated[Conflict, Query(description="What to do where a name is taken.")] = "refuse",
) -> dict[str, Any]:
    """The raw NDJSON body; it is checked as a whole before the first latent is saved."""
    data = await request.body()
    if not data:
        raise MalformedError("the body is empty; send the file of GET /latents/export")
    store = state_of(request.app).latents
    done = await restore(store, await asyncio.to_thread(read, data, store.what), conflict)
    return {"saved": done.saved, "skipped": done.skipped, "renamed": done.renamed}


@router.get("/latents/{name}", responses=READ, response_class=Response, summary="Read a saved latent")
async def get_latent(request: Request, name: Name) -> Response:
    """JSON with its values, the vector as `application/x-npy`, or its picture, by Accept."""
    media = choose(request.headers.get("accept"), (JSON, NPY, *PICTURE_TYPES[:3]))
    saved = await state_of(request.app).latents.get(name)
    if media in (JSON, NPY):
        result = Document(describe(saved, values=media == JSON), saved.vector, model=saved.reference)
        return await respond(request, result, media, Delivery())
    body = SampleRequest(model=saved.reference, latents=[name])
    return await answer(request, "sample", body, offered=PICTURE_TYPES[:3])


@router.get("/latents/{name}/lineage", responses=document("Lineage"), summary="What a latent was made from")
async def get_lineage(request: Request, name: Name) -> dict[str, Any]:
    """The latent, its parents, theirs, and so on; those deleted since are named and marked as gone."""
    return {"data": await lineage(state_of(request.app).latents, name), "next_cursor": None}


@router.patch("/latents/{name}", responses=document("Latent"), summary="Rename or retag")
async def patch_latent(request: Request, name: Name, body: ChangeRequest) -> dict[str, Any]:
    """Both in one step; 409 when the new name is taken. The id and the place in the list stay."""
    return describe(await state_of(request.app).latents.change(name, new_name=body.name, tags=body.tags))


@router.delete("/latents/{name}", status_code=204, responses=PROBLEMS, response_class=Response, summary="Remove")
async def delete_latent(request: Request, name: Name) -> Response:
    """Latents made from it stay, and remember its name."""
    await state_of(request.app).latents.delete(name)
    return Response(status_code=204)
