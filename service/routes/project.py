"""POST /project: from a picture to the latent that comes nearest to it."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.operations.project import ProjectRequest
from service.routes.answers import answer
from service.routes.documented import PICTURES
from service.routes.forms import picture_body, read_form
from service.state import State
from service.uploads import check_upload

router = APIRouter(tags=["latents"])
BODY = picture_body(ProjectRequest)


@router.post(
    "/project", responses=PICTURES, response_class=Response, openapi_extra=BODY, summary="Find a picture's latent"
)
async def post_project(request: Request) -> Response:
    """Gradient search through the generator; answers with the nearest picture and its remaining distance. Needs torch."""
    body, attachments = await read_form(request, ProjectRequest)
    state: State = request.app.state.ganymede
    check_upload(attachments["image"], state.settings)
    return await answer(request, "project", body, attachments)
