"""The model repository extension of the Open Inference Protocol: which versions there are, loading, unloading."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from service.engine.catalogue import Catalogue, follow
from service.errors import InvalidValueError, NotFoundError
from service.http.openapi import PROBLEMS
from service.http.parameters import Reference
from service.http.permissions import need_scope
from service.http.state import state_of
from service.operations.state import State

router = APIRouter(prefix="/v2/repository", tags=["open inference protocol"])
UNDERSTOOD = {"unload_dependents"}
"""Parameters that clients send and that change nothing here: no bundle depends on another."""


class IndexRequest(BaseModel):
    """What the index is asked for."""

    model_config = ConfigDict(extra="ignore", strict=True)

    ready: bool = Field(False, description="Only what can be sampled now.")


class LoadRequest(BaseModel):
    """Parameters of loading and unloading; configurations and files in them are refused."""

    model_config = ConfigDict(extra="ignore")

    parameters: dict[str, Any] = Field(default_factory=dict)


@router.post("/index", responses=PROBLEMS, summary="The versions of the bundles that can be sampled")
async def v2_repository_index(request: Request, body: IndexRequest = IndexRequest()) -> list[dict[str, str]]:
    """A row for each version: READY, or UNAVAILABLE where somebody unloaded it. The default of a name comes first."""
    catalogue = state_of(request.app).catalogue
    rows = [_row(m.bundle.name, m.bundle.digest, "READY") for m in catalogue.all() if m.manifest.samples]
    if not body.ready:
        unloaded = [bundle for bundle in catalogue.unloaded() if bundle.manifest.samples]
        rows += [_row(bundle.name, bundle.digest, "UNAVAILABLE", "unloaded") for bundle in unloaded]
    return rows


@router.post("/models/{name}/load", responses=PROBLEMS, summary="Serve a bundle, or one version of it, again")
async def v2_repository_load(request: Request, name: Reference, body: LoadRequest = LoadRequest()) -> dict[str, Any]:
    """Look at the folders now and open what was unloaded. Returns when it is served by this process; needs admin."""
    state = _checked(request, body)
    wanted = [bundle.reference for bundle in state.catalogue.unloaded() if name in (bundle.name, bundle.reference)]
    if wanted:
        await state.versions.load(wanted)
    await follow(state.catalogue, state.versions)
    served = [model.reference for model in state.catalogue.all() if name in (model.bundle.name, model.reference)]
    if not served:
        raise NotFoundError(f"there is no bundle {name!r} in the folders of this server")
    return {"name": name, "versions": [reference.partition("@")[2] for reference in served]}


@router.post("/models/{name}/unload", responses=PROBLEMS, summary="Serve a bundle, or one version of it, no longer")
async def v2_repository_unload(request: Request, name: Reference, body: LoadRequest = LoadRequest()) -> dict[str, Any]:
    """All processes give its memory back; requests and jobs that were accepted before are finished; needs admin."""
    state = _checked(request, body)
    gone = _named(state.catalogue, name)
    await state.versions.unload(gone)
    await follow(state.catalogue, state.versions)
    return {"name": name, "versions": [reference.partition("@")[2] for reference in gone]}


def _named(catalogue: Catalogue, name: str) -> list[str]:
    """References of all versions of a name, or the one asked for; unloading twice is no fault."""
    known = [model.bundle for model in catalogue.all()] + catalogue.unloaded()
    found = [bundle.reference for bundle in known if name in (bundle.name, bundle.reference)]
    if not found:
        catalogue.get(name)  # raises, naming the nearest
    return found


def _checked(request: Request, body: LoadRequest) -> State:
    need_scope(request, "admin")
    unknown = sorted(set(body.parameters) - UNDERSTOOD)
    if unknown:
        detail = f"{unknown[0][:40]!r} is not taken: a bundle is what lies in its folder"
        raise InvalidValueError(detail, pointer="/parameters")
    return state_of(request.app)


def _row(name: str, digest: str, state: str, reason: str = "") -> dict[str, str]:
    return {"name": name, "version": digest, "state": state, "reason": reason}
