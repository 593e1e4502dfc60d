"""POST /classify and POST /features: what a discriminator says of a picture."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.operations.judge import JudgeRequest
from service.routes.answers import answer
from service.routes.documented import document
from service.routes.forms import picture_body, read_form
from service.routes.negotiate import DOCUMENT_TYPES

router = APIRouter(tags=["pictures"])
BODY = picture_body(JudgeRequest)
CLASSIFIED: dict[str, Any] = {
    "type": "object",
    "required": ["model", "kind", "p_real", "label", "probabilities"],
    "properties": {
        "model": {"type": "string"},
        "kind": {"enum": ["real", "classes"]},
        "p_real": {"type": "number"},
        "label": {"type": ["string", "null"]},
        "probabilities": {"type": ["object", "null"], "additionalProperties": {"type": "number"}},
    },
}
FEATURES: dict[str, Any] = {
    "type": "object",
    "required": ["model", "size", "features"],
    "properties": {
        "model": {"type": "string"},
        "size": {"type": "integer"},
        "features": {"type": "array", "items": {"type": "number"}},
    },
}


@router.post(
    "/classify",
    responses=document(CLASSIFIED),
    response_class=Response,
    openapi_extra=BODY,
    summary="Which class, and how real",
)
async def post_classify(request: Request) -> Response:
    """Class probabilities of a semi-supervised classifier and p(real); only p(real) where the bundle has no classes."""
    body, attachments = await read_form(request, JudgeRequest)
    return await answer(request, "classify", body, attachments, offered=("application/json", "text/event-stream"))


@router.post(
    "/features",
    responses=document(FEATURES, array=True),
    response_class=Response,
    openapi_extra=BODY,
    summary="A picture's features",
)
async def post_features(request: Request) -> Response:
    """The discriminator's features before any layer that looks at other pictures; also as `application/x-npy`."""
    body, attachments = await read_form(request, JudgeRequest)
    return await answer(request, "features", body, attachments, offered=DOCUMENT_TYPES)
