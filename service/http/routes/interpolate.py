"""POST /interpolate: walks between latents."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.http.negotiation import GIF, PICTURE_TYPES
from service.http.openapi import PICTURES
from service.http.responses.answers import answer
from service.http.state import state_of
from service.operations.interpolate import InterpolateRequest, check_frames

router = APIRouter(tags=["latents"])
WALK_TYPES = (*PICTURE_TYPES, GIF)


@router.post("/interpolate", responses=PICTURES, response_class=Response, summary="Walk between latents")
async def post_interpolate(request: Request, body: InterpolateRequest) -> Response:
    """A contact sheet (PNG, JPEG), an animation (WebP, GIF), a zip, JSON, npy, or frames as they are made (SSE)."""
    state = state_of(request.app)
    check_frames(state.settings, body)
    return await answer(request, "interpolate", body, offered=WALK_TYPES)
