"""Saving latents without HTTP: from a seed, numbers, an expression or a picture of ours. No engine is needed."""

import base64
import dataclasses
from typing import Any

from pydantic import Field, model_validator

from models.mathematics.latents import normalise
from service.engine.model import Model
from service.errors import InvalidValueError, UnsupportedPictureError
from service.images.read_recipe import read_recipe
from service.latents import Saved
from service.operations.base import Context
from service.operations.generate import label_index, need_sampler
from service.operations.lookup import from_expression, model_for, parsed
from service.operations.read_back import from_recipe
from service.operations.requests import ModelReference, Name, Source, Strict, Tags, need_one
from service.operations.vectors import Found, from_source, keep


class Origin(Source):
    """Exactly one of seed, values, expression, image."""

    normalize: bool = Field(True, description="Bring an expression's result back to the prior.")
    image: str | None = Field(None, max_length=22_000_000, description="A picture of ours, base64 or a data: URL.")

    @model_validator(mode="after")
    def _one(self) -> "Origin":
        need_one(self, "seed", "values", "expression", "image")
        return self


class SaveRequest(Strict):
    """A latent to keep under a name."""

    name: Name
    model: ModelReference | None = Field(None, description="Absent: the one the picture or expression names.")
    tags: Tags = Field(default_factory=list)
    replace: bool = Field(False, description="Take the name even if it is in use.")
    source: Origin = Field(alias="from")


class ChangeRequest(Strict):
    """A new name, new tags, or both."""

    name: Name | None = None
    tags: Tags | None = None

    @model_validator(mode="after")
    def _something(self) -> "ChangeRequest":
        if self.name is None and self.tags is None:
            raise ValueError("give name, tags or both")
        return self


async def save(context: Context, request: SaveRequest) -> Saved:
    """Resolve the source, check it against its bundle, keep it."""
    source = request.source
    if source.image is not None:
        model, found = _from_image(context, request.model, source.image)
    elif source.expression is not None:
        node = parsed(source.expression, "/from/expression")
        model = await model_for(context, request.model, [node])
        found = await from_expression(context, model, node, pointer="/from/expression")
        if source.normalize:
            found = dataclasses.replace(found, vector=normalise(model.manifest.latent, found.vector))
    else:
        model = context.state.catalogue.get(request.model)
        found = from_source(model, source, "/from")
    need_sampler(model)
    if source.label is not None:
        found = dataclasses.replace(found, label=label_index(model, source.label))
    return await keep(context, model, found, request.name, tags=request.tags, overwrite=request.replace)


def _from_image(context: Context, reference: str | None, text: str) -> tuple[Model, Found]:
    recipe = read_recipe(decode_base64(text))
    model = context.state.catalogue.get(reference or _claimed_model(recipe))
    return model, from_recipe(model, recipe)


def _claimed_model(recipe: dict[str, Any]) -> str:
    claimed = recipe.get("model")
    if not isinstance(claimed, str) or len(claimed) > 81:
        raise InvalidValueError("the recipe in this picture names no model")
    return claimed


def decode_base64(text: str) -> bytes:
    """The bytes of base64 or of a data: URL. Raises UnsupportedPictureError for anything else."""
    try:
        return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
    except ValueError:
        raise UnsupportedPictureError("image is neither base64 nor a data: URL") from None


def describe(saved: Saved, *, values: bool = False) -> dict[str, Any]:
    """The JSON of one saved vector; its numbers only when asked for."""
    body: dict[str, Any] = {
        "name": saved.name,
        "id": saved.id,
        "model": saved.reference,
        "label": saved.label,
        "tags": list(saved.tags),
        "created": saved.created,
        "origin": saved.origin,
        "seed": saved.seed,
        "expression": saved.expression,
        "parents": [{"id": parent.id, "name": parent.name} for parent in saved.parents],
        "notes": dict(saved.notes),
        "url": f"/latents/{saved.name}",
    }
    return {**body, "values": saved.vector.tolist()} if values else body
