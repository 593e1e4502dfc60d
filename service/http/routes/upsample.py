"""POST /upsample: a picture, sharpened level by level."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.http.openapi import PICTURES
from service.http.picture_body import openapi_body, read_picture_body
from service.http.responses.answers import answer
from service.http.state import state_of
from service.images.uploads import check_upload
from service.operations.upsample import UpsampleRequest, precheck

router = APIRouter(tags=["pictures"])


@router.post(
    "/upsample",
    responses=PICTURES,
    response_class=Response,
    openapi_extra=openapi_body(UpsampleRequest),
    summary="Sharpen a picture level by level",
)
async def post_upsample(request: Request) -> Response:
    """Send `image` as multipart/form-data with fields, or the raw file with query parameters.

    With `Accept: text/event-stream`, one `level` event (size, seed, PNG) per level as soon as it exists.
    """
    body, data = await read_picture_body(request, UpsampleRequest)
    state = state_of(request.app)
    precheck(state, body, check_upload(data, state.settings))
    return await answer(request, "upsample", body, {"image": data})
