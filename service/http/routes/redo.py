"""POST /redo: the pictures of a save file, made again."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.http.openapi import PICTURES
from service.http.responses.answers import answer
from service.http.routes.interpolate import WALK_TYPES
from service.http.state import state_of
from service.images.read_recipe import read_recipe
from service.images.uploads import check_upload
from service.operations.latents import decode_base64
from service.operations.redo import RedoRequest, precheck_redo

router = APIRouter(tags=["pictures"])


@router.post("/redo", responses=PICTURES, response_class=Response, summary="Make a save file's pictures again")
async def post_redo(request: Request, body: RedoRequest) -> Response:
    """From the recipe, or the file that carries it; 404 names the bundle's digest, 422 the source's, that is missing."""
    state = state_of(request.app)
    recipe = body.recipe if body.image is None else read_recipe(decode_base64(body.image), "/image")
    source = None if body.source is None else decode_base64(body.source)
    plain = body.model_copy(update={"recipe": recipe, "image": None, "source": None})
    precheck_redo(state, plain, None if source is None else check_upload(source, state.settings))
    attachments = {} if source is None else {"image": source}
    return await answer(request, "redo", plain, attachments, offered=WALK_TYPES)
