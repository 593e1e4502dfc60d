"""The stops of a walk: seeds, names of saved latents, expressions, or numbers."""

import dataclasses
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from models.mathematics.latents import normalise
from service.engine.model import Model
from service.latents.expressions import Node
from service.latents.expressions.tree import Name as NameNode
from service.latents.names import NAME
from service.operations.base import Context
from service.operations.generate import label_index
from service.operations.latents import Expression
from service.operations.lookup import from_expression, parsed
from service.operations.requests import Label, Name, Seed, Strict, need_one
from service.operations.vectors import Found, from_name, from_seed, from_values


class Stop(Strict):
    """One stop: exactly one of seed, latent, expression, values."""

    seed: Seed | None = None
    latent: Name | None = None
    expression: Expression | None = None
    values: list[float] | None = Field(None, min_length=1, max_length=1_000_000)
    label: Label | None = None

    @model_validator(mode="after")
    def _one(self) -> "Stop":
        need_one(self, "seed", "latent", "expression", "values")
        return self


Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
StopLike = Seed | Text | Stop


def node_of(stop: StopLike, pointer: str) -> Node | None:
    """The expression of a stop that names latents; None for seeds and values. A plain name needs no quotes here."""
    text = stop if isinstance(stop, str) else None
    if isinstance(stop, Stop):
        text = stop.expression
        if stop.latent is not None:
            return NameNode(stop.latent, 1)
    if text is None:
        return None
    return NameNode(text, 1) if isinstance(stop, str) and NAME.match(text) else parsed(text, pointer)


async def found_at(context: Context, model: Model, stop: StopLike, node: Node | None, index: int) -> Found:
    """The vector of a stop, with its class where it has one. Raises InvalidValueError pointing to `/stops/<index>`."""
    pointer, label = f"/stops/{index}", stop.label if isinstance(stop, Stop) else None
    if isinstance(node, NameNode):
        found = await from_name(context, model, node.name)
    elif node is not None:
        found = await from_expression(context, model, node, pointer=pointer)
        found = dataclasses.replace(found, vector=normalise(model.manifest.latent, found.vector))
    elif isinstance(stop, Stop) and stop.values is not None:
        found = from_values(model, stop.values, f"{pointer}/values")
    else:
        seed = stop if isinstance(stop, int) else stop.seed if isinstance(stop, Stop) else None
        found = from_seed(model, seed or 0)
    return found if label is None else dataclasses.replace(found, label=label_index(model, label))
