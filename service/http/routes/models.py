"""GET /models: what is loaded, with manifest, digest, card, scores, limits; and which version a name stands for."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from service.engine.catalogue import Catalogue, follow
from service.engine.model import Model
from service.errors import NotFoundError
from service.http.openapi import FILE, document
from service.http.parameters import Name, Reference
from service.http.permissions import need_scope
from service.http.state import state_of
from service.http.validators import is_held
from service.operations.requests import Strict
from service.settings import limits

router = APIRouter(tags=["models"])


class VersionChoice(Strict):
    """The version a name is to stand for."""

    digest: str = Field(pattern=r"^[0-9a-f]{16}$", description="One of the digests served under this name.")


@router.get("/models", responses=document("ModelPage"), summary="The bundles being served")
async def list_models(request: Request) -> dict[str, Any]:
    """Every served bundle, the limits of this server, and the bundles it refused with the reason."""
    state = state_of(request.app)
    models = state.catalogue.all()
    return {
        "data": [summary(state.catalogue, model) for model in models],
        "next_cursor": None,
        "default": state.catalogue.default().bundle.name if models else None,
        "limits": limits(state.settings),
        "unloaded": [bundle.reference for bundle in state.catalogue.unloaded()],
        "refused": [{"folder": k, "reason": v} for k, v in sorted(state.catalogue.refused.items())],
    }


@router.get("/models/{name}", responses=document("ModelInFull"), summary="One bundle in full")
async def get_model(request: Request, name: Reference) -> dict[str, Any]:
    """Manifest, model card, scores, labels, provider."""
    catalogue = state_of(request.app).catalogue
    model = catalogue.get(name)
    card = model.bundle.read("README.md")
    return {
        **summary(catalogue, model),
        "manifest": model.manifest.model_dump(mode="json"),
        "card": card.decode("utf-8", "replace") if card else None,
    }


@router.put("/models/{name}/default", responses=document("Model"), summary="Which version a name stands for")
async def put_default(request: Request, name: Name, body: VersionChoice) -> dict[str, Any]:
    """From now on the name alone means this version, in every process and after restarts. Needs the scope admin.

    Requests under way keep the version they began with; `name@digest` goes on to mean every version.
    """
    need_scope(request, "admin")
    state = state_of(request.app)
    model = state.catalogue.get(f"{name}@{body.digest}")
    await state.versions.set_default(name, body.digest)
    await follow(state.catalogue, state.versions)
    return summary(state.catalogue, model)


@router.get("/models/{name}/preview.png", responses=FILE, response_class=Response, summary="Its preview sheet")
async def get_preview(request: Request, name: Reference) -> Response:
    """The sheet that was drawn at export."""
    model = state_of(request.app).catalogue.get(name)
    data = model.bundle.read("preview.png")
    if data is None:
        raise NotFoundError(f"{name} has no preview")
    headers = {"ETag": f'"{model.bundle.digest}"', "Cache-Control": "public, max-age=60"}
    if is_held(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="image/png", headers=headers)


def summary(catalogue: Catalogue, model: Model) -> dict[str, Any]:
    """A row of the list: what a person needs to choose a model."""
    manifest, chosen = model.manifest, catalogue.is_default(model)
    address = manifest.name if chosen else model.reference
    return {
        "name": manifest.name,
        "digest": model.bundle.digest,
        "reference": model.reference,
        "is_default": chosen,
        "family": manifest.family,
        "description": manifest.description,
        "provider": model.provider,
        "fast": fast_of(model),
        "image": manifest.image.model_dump(),
        "latent": {"distribution": manifest.latent.distribution, "size": manifest.latent.size},
        "labels": list(manifest.labels) if manifest.labels else None,
        "levels": len(manifest.levels),
        "samples": manifest.samples,
        "upsampling": manifest.upsampling.model_dump(mode="json") if manifest.upsampling else None,
        "discriminator": manifest.discriminator.kind if manifest.discriminator else None,
        "licence": manifest.provenance.licence,
        "scores": [score.model_dump() for score in manifest.scores],
        "preview": f"/models/{address}/preview.png" if "preview.png" in manifest.files else None,
    }


def fast_of(model: Model) -> dict[str, Any] | None:
    """What `precision=fast` gives here: who computes, how far from the exact pictures; None until somebody asked for it."""
    return (
        None if model.fast is None else {"provider": model.fast.provider, "difference": asdict(model.fast.difference)}
    )
