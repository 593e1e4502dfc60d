"""POST /directions without HTTP: a named direction from latents, from a classifier's class, or from principal components."""

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from models.mathematics.directions import Direction, by_regression, orthogonal, principal_scores, read_directions
from models.mathematics.latents import Vector, draw, seed_range
from models.runtimes.base import Array
from service.engine.model import Model
from service.errors import InvalidValueError, NotFoundError
from service.latents import Saved
from service.latents.expressions import Node
from service.latents.names import nearest_hint
from service.latents.record import Origin
from service.operations.base import Attachments, Context
from service.operations.generate import engine_of, label_index, need_sampler
from service.operations.latents import describe
from service.operations.lookup import from_expression, model_for, parsed
from service.operations.requests import Expression, Label, ModelReference, Name, Seed, Strict, Tags, Waiting, need_one
from service.operations.results import Document
from service.operations.vectors import Found, check_bundle, keep

CHUNK = 64
PIXELS_SIDE = 16


class Difference(Strict):
    """The mean of some saved latents minus the mean of others."""

    positive: list[Name] = Field(min_length=1, max_length=1000)
    negative: list[Name] = Field(min_length=1, max_length=1000)


class Sampled(Strict):
    """Many seeds are made into pictures, and what is seen in them is measured."""

    samples: int = Field(1000, ge=100, le=20_000, strict=True)
    seed: Seed = 0
    label: Label | None = Field(None, description="Class of the samples, for a conditional bundle.")


class ByClass(Sampled):
    """Toward what the bundle's own classifier calls `class`."""

    target: str = Field(alias="class", min_length=1, max_length=100)


class ByComponent(Sampled):
    """Along a principal component of the pictures' features: what varies most, second most, ..."""

    component: int = Field(0, ge=0, le=99, strict=True)


class DirectionSource(Strict):
    """Exactly one of difference, expression, class, pca."""

    difference: Difference | None = None
    expression: Expression | None = Field(None, examples=["mean(left1, left2) - mean(right1, right2)"])
    classifier: ByClass | None = None
    pca: ByComponent | None = None

    @model_validator(mode="after")
    def _one(self) -> "DirectionSource":
        need_one(self, "difference", "expression", "classifier", "pca")
        return self


class DirectionRequest(Waiting):
    """A direction to keep under a name, for use as `dir(name)`."""

    name: Name
    model: ModelReference | None = None
    source: DirectionSource = Field(alias="from")
    orthogonal_to: list[Name] = Field(
        default_factory=list, max_length=50, description="Directions that moving along this one leaves still."
    )
    tags: Tags = Field(default_factory=list)
    replace: bool = False

    @property
    def count(self) -> int:
        """Pictures it computes."""
        sampled = self.source.classifier or self.source.pca
        return sampled.samples if sampled else 1


async def direction(context: Context, request: DirectionRequest, attachments: Attachments) -> Document:
    """Find the direction, free it of the locked ones, keep it."""
    model, node = await precheck(context, request)
    found, notes = await (
        _sampled(context, model, request) if node is None else _combined(context, model, node, request)
    )
    if request.orthogonal_to:
        locked = [(await find_direction(context, model, name)).vector for name in request.orthogonal_to]
        found = replace(found, vector=orthogonal(found.vector, locked))
        notes["orthogonal_to"] = request.orthogonal_to
    if not found.vector.any():
        raise InvalidValueError("nothing is left of this direction: it is zero, or lies within the locked ones")
    store, tags, overwrite = context.state.directions, request.tags, request.replace
    saved = await keep(context, model, found, request.name, store=store, tags=tags, overwrite=overwrite, notes=notes)
    return Document(describe_direction(saved), saved.vector, model=model.reference, provider=model.provider)


async def _combined(
    context: Context, model: Model, node: Node, request: DirectionRequest
) -> tuple[Found, dict[str, Any]]:
    found = await from_expression(context, model, node, pointer="/from/expression")
    origin: Origin = "difference" if request.source.difference else "expression"
    return replace(found, origin=origin, label=None), {}  # a direction has no class


async def precheck(context: Context, request: DirectionRequest) -> tuple[Model, Node | None]:
    """The model and the expression, if it is one; whatever can be refused without computing is refused here."""
    text = _as_expression(request.source)
    node = None if text is None else parsed(text, "/from/expression")
    model = await model_for(context, request.model, [] if node is None else [node])
    need_sampler(model)
    if request.source.classifier is not None:
        _class_column(model, request.source.classifier.target)
    for name in request.orthogonal_to:
        await find_direction(context, model, name)
    return model, node


def _as_expression(source: DirectionSource) -> str | None:
    if source.difference is not None:
        means = [
            ", ".join(f'"{n}"' for n in names) for names in (source.difference.positive, source.difference.negative)
        ]
        return f"mean({means[0]}) - mean({means[1]})"
    return source.expression


async def _sampled(context: Context, model: Model, request: DirectionRequest) -> tuple[Found, dict[str, Any]]:
    source = request.source
    if source.classifier is not None:
        column = _class_column(model, source.classifier.target)
        vectors, features = await _observed(context, model, source.classifier, logits=True)
        scores, share = features[:, column], None
        origin: Origin = "learned"
    else:
        assert source.pca is not None
        vectors, features = await _observed(context, model, source.pca, logits=False)
        scores, share = await _principal(features, source.pca.component)
        origin = "pca"
    vector, explained = await asyncio.to_thread(by_regression, vectors, scores)
    notes: dict[str, Any] = {"linear_share": round(explained, 4), "samples": len(vectors)}
    notes |= {} if share is None else {"variance_share": round(share, 4)}
    return Found(vector, origin), notes


async def _principal(features: Array, component: int) -> tuple[Array, float]:
    try:
        return await asyncio.to_thread(principal_scores, features, component)
    except ValueError as error:
        raise InvalidValueError(str(error), pointer="/from/pca/component") from None


def _class_column(model: Model, target: str) -> int:
    discriminator = model.manifest.discriminator
    if discriminator is None or discriminator.classes is None:
        raise InvalidValueError(
            f"{model.bundle.name} has no classifier; use difference or pca",
            pointer="/from/classifier",
            hint="the bundle has no classifier",
        )
    if target not in discriminator.classes:
        hint = nearest_hint(target, discriminator.classes)
        sentence = f"the classifier of {model.bundle.name} has no class {target!r}{hint}"
        raise InvalidValueError(sentence, pointer="/from/classifier/class")
    return discriminator.classes.index(target)


async def _observed(context: Context, model: Model, wish: Sampled, *, logits: bool) -> tuple[Vector, Array]:
    """Latents [n, size] of the samples and what is seen in their pictures: logits, features, or coarse pixels."""
    seeds = seed_range(wish.seed, wish.samples)
    vectors = draw(model.manifest.latent, seeds)
    rows = []
    for start in range(0, len(seeds), CHUNK):
        group = slice(start, start + CHUNK)
        labels = [label_index(model, wish.label, seed) for seed in seeds[group]]
        images = await engine_of(context).generate(model, vectors[group], labels, **context.terms())
        rows.append(await _seen(context, model, images, logits))
        await context.emit("progress", {"done": start + len(images), "total": len(seeds), "unit": "pictures"})
    return vectors, np.concatenate(rows)


async def _seen(context: Context, model: Model, images: Array, logits: bool) -> Array:
    discriminator = model.manifest.discriminator
    if discriminator is None or discriminator.label:
        return _coarse(images)
    output = await engine_of(context).discriminate(model, images)
    return output.logits if logits else output.features


def _coarse(images: Array) -> Array:
    """Pictures as rows of at most 16x16 block means: enough to see what varies."""
    step = max(1, images.shape[-1] // PIXELS_SIDE)
    side = images.shape[-1] // step * step
    rows = images[:, :, :side, :side].reshape(*images.shape[:2], side // step, step, side // step, step)
    return np.asarray(rows.mean((3, 5)).reshape(len(images), -1), np.float32)


async def find_direction(context: Context, model: Model, name: str) -> Direction | Saved:
    """A saved direction of this bundle, or one that ships with it. Raises NotFoundError suggesting the nearest."""
    saved = (await context.state.directions.find([name])).get(name)
    if saved is not None:
        check_bundle(saved, model)
        return saved
    shipped = await asyncio.to_thread(read_directions, model.bundle)
    if name not in shipped:
        hint = nearest_hint(name, [*shipped, *await context.state.directions.similar_names(name)])
        raise NotFoundError(f"no direction {name!r} for {model.reference}{hint}")
    return shipped[name]


def describe_direction(found: Saved) -> dict[str, Any]:
    """The JSON of a saved direction."""
    body = describe(found)
    length = float(np.linalg.norm(found.vector)) if found.vector.size else None
    return {**body, "shipped": False, "length": length, "url": f"/directions/{found.name}"}


def describe_shipped(found: Direction, reference: str) -> dict[str, Any]:
    """The JSON of a direction that ships with a bundle."""
    return {
        "name": found.name,
        "model": reference,
        "origin": found.origin,
        "unit": found.unit,
        "measured": found.measured,
        "shipped": True,
        "length": float(np.linalg.norm(found.vector)),
        "url": f"/directions/{found.name}?model={reference}",
    }
