"""Where a vector comes from: a saved latent, a seed, numbers; and how one is kept. No engine is needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.errors import LatentError
from models.mathematics import latents
from models.mathematics.latents import Vector
from service.engine.model import Model
from service.errors import ConflictError, InvalidValueError
from service.latents import Draft, LatentStore, Parent, Saved
from service.latents.expressions import Evaluation
from service.latents.record import Origin, sha256_of
from service.operations.base import Context
from service.operations.generate import Want, label_index
from service.operations.requests import Source


@dataclass(frozen=True)
class Found:
    """A vector [size] with its lineage. `label` is a class index, None where nothing suggests one.

    `sources`: what the names of its expression stand for.
    """

    vector: Vector
    origin: Origin
    label: int | None = None
    seed: int | None = None
    name: str | None = None
    expression: str | None = None
    parents: tuple[Parent, ...] = ()
    notes: tuple[str, ...] = ()
    sources: Evaluation | None = None


def from_seed(model: Model, seed: int) -> Found:
    """The latent of a seed, with the label `POST /sample` would give it."""
    vector = latents.draw(model.manifest.latent, [seed])[0]
    return Found(vector, "seed", label_index(model, None, seed), seed)


def from_values(model: Model, values: Sequence[float], pointer: str) -> Found:
    """Untrusted numbers. Raises InvalidValueError for a wrong length or values that are not finite."""
    try:
        return Found(latents.check(model.manifest.latent, values), "values")
    except LatentError as error:
        raise InvalidValueError(str(error), pointer=pointer) from None


def from_source(model: Model, source: Source, place: str) -> Found:
    """The latent of a source that is a seed or numbers, where the request has it at `place`. Raises InvalidValueError."""
    if source.values is not None:
        return from_values(model, source.values, f"{place}/values")
    return from_seed(model, source.seed or 0)


async def from_name(context: Context, model: Model, name: str) -> Found:
    """A saved latent of this very bundle. Raises NotFoundError or ConflictError."""
    saved = await context.state.latents.get(name)
    check_bundle(saved, model)
    label = None if saved.label is None else label_index(model, saved.label)
    parents = (Parent(saved.id, saved.name),)
    return Found(saved.vector, saved.origin, label, saved.seed, saved.name, parents=parents)


def want_of(model: Model, found: Found, label: str | int | None, recipe: dict[str, Any] | None = None) -> Want:
    """The picture of a source: under the label asked for, else the one it was saved with."""
    index = found.label if label is None and found.label is not None else label_index(model, label, found.seed)
    return Want(found.vector, None, index, found.name, recipe)


def check_bundle(saved: Saved, model: Model) -> None:
    """Raises ConflictError, naming both bundles, for a vector made with another one."""
    if saved.reference != model.reference:
        raise ConflictError(f"{saved.name!r} belongs to {saved.reference}, this request is about {model.reference}")


async def keep(
    context: Context,
    model: Model,
    found: Found,
    name: str,
    *,
    store: LatentStore | None = None,
    tags: Sequence[str] = (),
    overwrite: bool = False,
    notes: Mapping[str, Any] | None = None,
) -> Saved:
    """Save a vector with its lineage, among the latents or in another store; the same request running twice saves once.

    `overwrite`: the name may be in use. Raises what `LatentStore.save` raises.
    """
    draft = Draft(
        name=name,
        model=model.bundle.name,
        digest=model.bundle.digest,
        vector=found.vector,
        origin=found.origin,
        label=model.label_name(found.label),
        seed=found.seed,
        expression=found.expression,
        parents=found.parents,
        tags=tuple(tags),
        notes=dict(notes or {}),
    )
    token = f"{context.request_id}:{sha256_of(found.vector)[:16]}"
    return await (store or context.state.latents).save(draft, overwrite=overwrite, token=token)
