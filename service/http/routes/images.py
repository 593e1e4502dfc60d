"""GET /images/{model}/{seed}.{format}: a picture as a pure function of its address."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from service.engine.model import Precision
from service.errors import InvalidValueError, NotFoundError
from service.http.openapi import FILE
from service.http.parameters import Reference
from service.http.responses.answers import pictures_of
from service.http.responses.respond import respond
from service.http.state import state_of
from service.http.validators import is_held
from service.images.encode import MEDIA_TYPES
from service.operations.requests import MetadataField
from service.operations.sample import SampleRequest

router = APIRouter(tags=["pictures"])

YEAR_S = 31_536_000
FILE_NAME = r"^[0-9]{1,10}\.(png|webp|jpeg|npy)$"


@router.get("/images/{model}/{file}", responses=FILE, response_class=Response, summary="The picture of one seed")
async def get_image(
    request: Request,
    model: Reference,
    file: Annotated[str, Path(pattern=FILE_NAME, description="{seed}.{png|webp|jpeg|npy}")],
    label: Annotated[str | None, Query(min_length=1, max_length=100)] = None,
    truncation: Annotated[float, Query(ge=0, le=2, allow_inf_nan=False)] = 1.0,
    scale: Annotated[int, Query(ge=1, le=16)] = 1,
    precision: Annotated[
        Precision, Query(description="Whatever the server is set to, an address that says none is exact.")
    ] = "exact",
    metadata: Annotated[MetadataField, Query(description="Recipe and source mark inside the file.")] = "full",
) -> Response:
    """Cacheable for ever when the digest is in the address; a strong ETag answers If-None-Match with 304."""
    state = state_of(request.app)
    seed, _, extension = file.partition(".")
    if int(seed) >= 2**32:
        raise InvalidValueError("a seed is 0 … 4294967295", pointer="/seed", hint="too large")
    served = state.catalogue.get(model)
    if not served.manifest.samples:
        raise NotFoundError(f"{served.bundle.name} sharpens pictures; it has none of its own")
    body = SampleRequest(
        model=model,
        seed=int(seed),
        label=label,
        truncation=truncation,
        scale=scale,
        precision=precision,
        metadata=metadata,
    )
    served = await served.at(precision)
    # Another machine may answer the same address with other fast bytes.
    for_ever = "@" in model and precision == "exact"
    headers = caching_headers(served.reference, served.provider, str(request.url.query), file, for_ever)
    if is_held(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    result = await pictures_of(request, "sample", body)
    response = await respond(request, result, MEDIA_TYPES[extension], body)
    response.headers.update(headers)
    return response


def caching_headers(reference: str, provider: str, query: str, file: str, for_ever: bool) -> dict[str, str]:
    """ETag from everything the bytes depend on; immutable when the address says all of it."""
    tag = hashlib.sha256(f"{reference}|{provider}|{file}|{query}".encode()).hexdigest()[:32]
    age = f"public, max-age={YEAR_S}, immutable" if for_ever else "public, max-age=60"
    return {"ETag": f'"{tag}"', "Cache-Control": age, "Accept-Ranges": "none"}
