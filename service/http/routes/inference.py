"""Open Inference Protocol v2 below /v2: any client of Triton, KServe or MLServer lists, asks about and runs bundles."""

import json
from typing import Annotated, Any, cast, get_args

import numpy as np
from fastapi import APIRouter, Path, Request
from numpy.typing import NDArray
from starlette.responses import JSONResponse, Response

from service.engine.model import Model, Precision
from service.errors import InvalidValueError, MalformedError
from service.http.openapi import PROBLEMS
from service.http.parameters import Name, Reference
from service.http.responses.answers import pictures_of
from service.http.responses.represent import precision_headers
from service.http.routes.health import why_not_ready
from service.http.state import state_of
from service.http.tensors import read_inputs, split, write_output
from service.operations.requests import LatentValues
from service.operations.results import Pictures
from service.operations.sample import SampleRequest

router = APIRouter(prefix="/v2", tags=["open inference protocol"])
Version = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="The digest of one version.")]
HEADER_LENGTH = "Inference-Header-Content-Length"
OUTPUT = "pictures"


@router.get("", summary="This server")
async def v2_server() -> dict[str, Any]:
    """Name, version, extensions."""
    return {"name": "ganymede", "version": "0.1.0", "extensions": ["binary_tensor_data", "model_repository"]}


@router.get("/health/live", summary="The process runs")
async def v2_live() -> dict[str, bool]:
    """200 as long as the event loop turns."""
    return {"live": True}


@router.get("/health/ready", responses={503: PROBLEMS[503]}, summary="It can take work")
async def v2_ready(request: Request) -> Response:
    """200 when a bundle is loaded and the server is not draining."""
    state = state_of(request.app)
    fine = why_not_ready(state) is None
    return JSONResponse({"ready": fine}, 200 if fine else 503)


@router.get("/models/{name}/ready", responses=PROBLEMS, summary="A bundle can be sampled")
async def v2_model_ready(request: Request, name: Reference) -> dict[str, Any]:
    """404 for a bundle that is not served."""
    return {"name": _sampler(request, name).bundle.name, "ready": True}


@router.get("/models/{name}", responses=PROBLEMS, summary="Inputs and outputs of a bundle")
async def v2_model(request: Request, name: Reference) -> dict[str, Any]:
    """`latent` FP32 [n, size] or `seed` UINT32 [n]; `label` INT32 [n] where the bundle has labels; `pictures` UINT8."""
    manifest, found = _sampler(request, name).manifest, state_of(request.app).catalogue.all()
    inputs = [
        {"name": "latent", "datatype": "FP32", "shape": [-1, manifest.latent.size]},
        {"name": "seed", "datatype": "UINT32", "shape": [-1]},
    ]
    if manifest.labels:
        inputs.append({"name": "label", "datatype": "INT32", "shape": [-1]})
    image = manifest.image
    output = {"name": OUTPUT, "datatype": "UINT8", "shape": [-1, image.height, image.width, image.channels]}
    versions = [model.bundle.digest for model in found if model.bundle.name == manifest.name]
    return {"name": name, "versions": versions, "platform": "ganymede", "inputs": inputs, "outputs": [output]}


@router.post(
    "/models/{name}/infer", responses=PROBLEMS, response_class=Response, summary="Latents or seeds to pictures"
)
async def v2_infer(request: Request, name: Reference) -> Response:
    """Give `latent` or `seed` (not both), and `label` if wanted; JSON and binary tensors are read and written."""
    model = _sampler(request, name)
    body, raw = split(await request.body(), request.headers.get(HEADER_LENGTH))
    tensors, binary = read_inputs(body, raw), _wants_binary(body)
    pixels, made = await _pictures(request, model, tensors, _precision(body))
    entry, data = write_output(OUTPUT, pixels, binary)
    answer = {"model_name": name, "model_version": model.bundle.digest, "outputs": [entry]}
    if isinstance(body.get("id"), str):
        answer["id"] = body["id"]
    text = json.dumps(answer).encode()
    headers = {"Ganymede-Model": model.reference, "Ganymede-Provider": made.provider, **precision_headers(made)}
    if not data:
        return Response(text, media_type="application/json", headers=headers)
    return Response(
        text + data, media_type="application/octet-stream", headers={**headers, HEADER_LENGTH: str(len(text))}
    )


@router.get("/models/{name}/versions/{version}/ready", responses=PROBLEMS, summary="A version can be sampled")
async def v2_version_ready(request: Request, name: Name, version: Version) -> dict[str, Any]:
    """As without a version."""
    return await v2_model_ready(request, f"{name}@{version}")


@router.get("/models/{name}/versions/{version}", responses=PROBLEMS, summary="Inputs and outputs of a version")
async def v2_version(request: Request, name: Name, version: Version) -> dict[str, Any]:
    """As without a version."""
    return await v2_model(request, f"{name}@{version}")


@router.post(
    "/models/{name}/versions/{version}/infer",
    responses=PROBLEMS,
    response_class=Response,
    summary="Latents or seeds to pictures of a version",
)
async def v2_version_infer(request: Request, name: Name, version: Version) -> Response:
    """As without a version."""
    return await v2_infer(request, f"{name}@{version}")


def _sampler(request: Request, name: str) -> Model:
    model = state_of(request.app).catalogue.get(name)
    if not model.manifest.samples:
        raise InvalidValueError(f"{name} sharpens pictures; the protocol serves bundles that make them")
    return model


def _parameters(row: dict[str, Any]) -> dict[str, Any]:
    """Those of a request or of one of its outputs; empty without any."""
    found = row.get("parameters") or {}
    if not isinstance(found, dict):
        raise MalformedError("parameters must be an object")
    return found


def _wants_binary(body: dict[str, Any]) -> bool:
    """What the request says of the output: its own parameter, else the request's, else JSON."""
    rows = body.get("outputs") or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise MalformedError("outputs must be a list of objects")
    unknown = [row.get("name") for row in rows if row.get("name") != OUTPUT]
    if unknown:
        raise MalformedError(f"there is no output {str(unknown[0])[:40]!r}; there is {OUTPUT!r}")
    default = _parameters(body).get("binary_data_output", False)
    return bool(next((_parameters(row).get("binary_data", default) for row in rows), default))


def _precision(body: dict[str, Any]) -> Precision | None:
    """The request's parameter `precision`; None without one."""
    wish = _parameters(body).get("precision")
    if wish not in (None, *get_args(Precision)):
        sentence = "parameters.precision must be exact or fast"
        raise InvalidValueError(sentence, pointer="/parameters/precision")
    return cast(Precision | None, wish)


async def _pictures(
    request: Request, model: Model, tensors: dict[str, NDArray[Any]], precision: Precision | None
) -> tuple[NDArray[np.uint8], Pictures]:
    """One operation per distinct label, put back in order; and the first of what they gave."""
    unknown = sorted(tensors.keys() - {"latent", "seed", "label"})
    if unknown or ("latent" in tensors) == ("seed" in tensors):
        raise MalformedError(f"unknown input {unknown[0]!r}" if unknown else "give one of latent and seed")
    rows = tensors.get("latent", tensors.get("seed"))
    assert rows is not None
    labels = _labels(tensors.get("label"), len(rows))
    if len(rows) == 0 or rows.ndim != (2 if "latent" in tensors else 1):
        raise MalformedError("latent is [n, size] and seed is [n], n at least 1")
    parts: list[tuple[list[int], Pictures]] = []
    for label in dict.fromkeys(labels):
        where = [k for k, other in enumerate(labels) if other == label]
        wish = _request_of(model, rows[where], label, precision, latent="latent" in tensors)
        parts.append((where, await pictures_of(request, "sample", wish)))
    stack = np.concatenate([part.array() for _, part in parts])
    order = np.argsort(np.concatenate([where for where, _ in parts]))
    return stack[order], parts[0][1]


def _labels(tensor: NDArray[Any] | None, count: int) -> list[int | None]:
    if tensor is None:
        return [None] * count
    if tensor.shape != (count,) or not np.issubdtype(tensor.dtype, np.integer):
        raise MalformedError(f"label must be integers of shape [{count}]")
    return [int(label) for label in tensor]


def _request_of(
    model: Model, rows: NDArray[Any], label: int | None, precision: Precision | None, *, latent: bool
) -> SampleRequest:
    if latent:
        values: list[str | LatentValues] = [LatentValues(values=row) for row in rows.astype(np.float64).tolist()]
        return SampleRequest(model=model.reference, latents=values, label=label, precision=precision)
    return SampleRequest(model=model.reference, seeds=[int(seed) for seed in rows], label=label, precision=precision)
