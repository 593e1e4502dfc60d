"""POST /project: from a picture to the latent that comes nearest to it."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.http.openapi import PICTURES
from service.http.picture_body import openapi_body, read_picture_body
from service.http.responses.answers import answer
from service.http.state import state_of
from service.images.uploads import check_upload
from service.operations.project import ProjectRequest

router = APIRouter(tags=["latents"])
BODY = openapi_body(ProjectRequest)


@router.post(
    "/project", responses=PICTURES, response_class=Response, openapi_extra=BODY, summary="Find a picture's latent"
)
async def post_project(request: Request) -> Response:
    """Gradient search through the generator; answers with the nearest picture and its remaining distance. Needs torch."""
    body, data = await read_picture_body(request, ProjectRequest)
    state = state_of(request.app)
    check_upload(data, state.settings)
    return await answer(request, "project", body, {"image": data})
