"""POST /classify and POST /features: what a discriminator says of a picture."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.http.negotiation import DOCUMENT_TYPES, JSON, SSE
from service.http.openapi import document
from service.http.picture_body import openapi_body, read_picture_body
from service.http.responses.answers import answer
from service.operations.discriminator import DiscriminatorRequest

router = APIRouter(tags=["pictures"])
BODY = openapi_body(DiscriminatorRequest)


@router.post(
    "/classify",
    responses=document("Classified", job=True),
    response_class=Response,
    openapi_extra=BODY,
    summary="Which class, and how real",
)
async def post_classify(request: Request) -> Response:
    """Class probabilities of a semi-supervised classifier and p(real); only p(real) where the bundle has no classes."""
    body, data = await read_picture_body(request, DiscriminatorRequest)
    return await answer(request, "classify", body, {"image": data}, offered=(JSON, SSE))


@router.post(
    "/features",
    responses=document("Features", array=True, job=True),
    response_class=Response,
    openapi_extra=BODY,
    summary="A picture's features",
)
async def post_features(request: Request) -> Response:
    """The discriminator's features before any layer that looks at other pictures; also as `application/x-npy`."""
    body, data = await read_picture_body(request, DiscriminatorRequest)
    return await answer(request, "features", body, {"image": data}, offered=DOCUMENT_TYPES)
