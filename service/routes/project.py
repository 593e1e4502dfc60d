"""POST /project: from a picture to the latent that comes nearest to it."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.operations.project import ProjectRequest
from service.routes.answers import answer
from service.routes.documented import PICTURES
from service.routes.forms import read_form

router = APIRouter(tags=["latents"])
_FORM: dict[str, Any] = ProjectRequest.model_json_schema(ref_template="#/components/schemas/{model}")
_FORM["properties"] = {"image": {"type": "string", "format": "binary"}, **_FORM["properties"]}
_FORM["required"] = ["image"]
_FORM.pop("$defs", None)
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _FORM},
            **{
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in ("image/png", "image/jpeg", "image/webp")
            },
        },
    }
}


@router.post(
    "/project", responses=PICTURES, response_class=Response, openapi_extra=BODY, summary="Find a picture's latent"
)
async def post_project(request: Request) -> Response:
    """Gradient search through the generator; answers with the nearest picture and its remaining distance. Needs torch."""
    body, attachments = await read_form(request, ProjectRequest)
    return await answer(request, "project", body, attachments)
