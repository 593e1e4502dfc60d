"""OpenAI's Images API below /v1, as far as a GAN can follow it: the unmodified `openai` package gets pictures.

`prompt` is `seed:42`, a label of the bundle, or an expression over saved latents. What a GAN cannot honour is refused with 400.
"""

import base64
import time
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from service.engine.model import Model
from service.errors import MalformedError
from service.http.openapi import PROBLEMS
from service.http.parameters import Reference
from service.http.responses.answers import pictures_of
from service.http.responses.represent import image_url
from service.http.state import state_of
from service.images.encode import encode
from service.operations.arithmetic import ArithmeticRequest
from service.operations.results import Pictures
from service.operations.sample import SampleRequest

router = APIRouter(prefix="/v1", tags=["openai images"])
MAX_SCALE = 16


class ImagesRequest(BaseModel):
    """The fields of OpenAI's images.generate; those that mean nothing here must be absent or at their default."""

    model_config = ConfigDict(extra="allow")

    prompt: str = Field(min_length=1, max_length=4000, examples=["seed:42"])
    model: str | None = None
    n: int | None = Field(None, ge=1, le=64)
    size: str | None = Field(None, max_length=20, description="auto, or the bundle's size times a whole number.")
    response_format: Literal["url", "b64_json"] | None = None
    output_format: Literal["png", "webp", "jpeg"] | None = None
    user: str | None = None


@router.get("/models", summary="The bundles that can be sampled, as OpenAI lists models")
async def list_openai_models(request: Request) -> dict[str, Any]:
    """id, object, created, owned_by."""
    models = (model for model in state_of(request.app).catalogue.defaults() if model.manifest.samples)
    return {"object": "list", "data": [_entry(model) for model in models]}


@router.get("/models/{name}", responses=PROBLEMS, summary="One bundle")
async def get_openai_model(request: Request, name: Reference) -> dict[str, Any]:
    """404 for a bundle that is not served."""
    return _entry(state_of(request.app).catalogue.get(name))


@router.post(
    "/images/generations", responses=PROBLEMS, summary="Pictures for a prompt that is a seed, a label or an expression"
)
async def generate_openai_images(request: Request, body: ImagesRequest) -> dict[str, Any]:
    """`seed:42` (then 43, 44 … for n), a label, or `mean(a, b) - c`."""
    _refuse_unsupported(body)
    model = state_of(request.app).catalogue.get(body.model)
    operation, wish = _operation(model, body)
    result = await pictures_of(request, operation, wish)
    return {
        "created": int(time.time()),
        "data": [_datum(picture, result, body, request) for picture in result.pictures],
    }


def _entry(model: Model) -> dict[str, Any]:
    return {"id": model.bundle.name, "object": "model", "created": 0, "owned_by": "ganymede"}


def _refuse_unsupported(body: ImagesRequest) -> None:
    harmless: dict[str, set[str]] = {
        "quality": {"auto", "standard"},
        "background": {"auto", "opaque"},
        "moderation": {"auto", "low"},
    }
    for name, value in (body.model_extra or {}).items():
        if value is not None and not (isinstance(value, str) and value in harmless.get(name, set())):
            raise _refusal(f"{name} is not supported by a GAN server", name)


def _operation(model: Model, body: ImagesRequest) -> tuple[str, SampleRequest | ArithmeticRequest]:
    prompt, count, scale = body.prompt.strip(), body.n or 1, _scale(model, body.size)
    if prompt.startswith("seed:"):
        digits = prompt[5:].strip()
        if not (digits.isascii() and digits.isdigit() and int(digits) < 2**32):
            raise _refusal("after seed: comes a number from 0 to 4294967295", "prompt")
        return "sample", SampleRequest(model=model.reference, seed=int(digits), n=count, scale=scale)
    if prompt in (model.manifest.labels or ()):
        return "sample", SampleRequest(model=model.reference, label=prompt, n=count, scale=scale)
    if count != 1:
        raise _refusal("an expression has one result; ask for n=1", "n")
    if len(prompt) > 2000:
        raise _refusal("the expression is too long", "prompt")
    return "arithmetic", ArithmeticRequest(model=model.reference, expression=prompt, scale=scale)


def _scale(model: Model, size: str | None) -> int:
    image = model.manifest.image
    if size in (None, "auto"):
        return 1
    for scale in range(1, MAX_SCALE + 1):
        if size == f"{image.width * scale}x{image.height * scale}":
            return scale
    raise _refusal(f"size must be auto or {image.width}x{image.height} times a whole number up to {MAX_SCALE}", "size")


def _datum(picture: Any, result: Pictures, body: ImagesRequest, request: Request) -> dict[str, Any]:
    kind = body.output_format or "png"
    base = state_of(request.app).settings.public_url or str(request.base_url).rstrip("/")
    url = image_url(picture, result.model, kind) if body.response_format == "url" else None
    revised = f"seed:{picture.seed}" if picture.seed is not None else None
    if url is not None:
        return {"url": base + url, "revised_prompt": revised}
    data = encode(picture.pixels, kind, picture.recipe)
    return {"b64_json": base64.b64encode(data).decode(), "revised_prompt": revised}


def _refusal(sentence: str, parameter: str) -> MalformedError:
    error = {"message": sentence, "type": "invalid_request_error", "param": parameter, "code": "unsupported"}
    return MalformedError(sentence, pointer=f"/{parameter}", extra={"error": error})
