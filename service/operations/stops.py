"""The stops of a walk: seeds, names of saved latents, expressions, or numbers."""

import dataclasses

from pydantic import model_validator

from models.mathematics.latents import normalise
from service.engine.model import Model
from service.latents.expressions import Node
from service.latents.expressions.tree import Name as NameNode
from service.latents.names import NAME
from service.operations.base import Context
from service.operations.generate import label_index
from service.operations.lookup import from_expression, parsed
from service.operations.requests import Expression, Name, Seed, Source, need_one
from service.operations.vectors import Found, from_name, from_source


class Stop(Source):
    """One stop: exactly one of seed, latent, expression, values."""

    latent: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> "Stop":
        need_one(self, "seed", "latent", "expression", "values")
        return self


StopLike = Seed | Expression | Stop


def stop_of(given: StopLike) -> Stop:
    """The stop that a number or a text stands for. A plain name needs no quotes here."""
    if isinstance(given, Stop):
        return given
    if isinstance(given, int):
        return Stop(seed=given)
    return Stop(latent=given) if NAME.match(given) else Stop(expression=given)


def node_of(stop: Stop, pointer: str) -> Node | None:
    """The expression of a stop that names latents; None for seeds and values."""
    if stop.latent is not None:
        return NameNode(stop.latent, 1)
    return None if stop.expression is None else parsed(stop.expression, pointer)


async def found_at(context: Context, model: Model, stop: Stop, node: Node | None, pointer: str) -> Found:
    """The vector of a stop, with its class where it has one. Raises InvalidValueError that points to it."""
    if isinstance(node, NameNode):
        found = await from_name(context, model, node.name)
    elif node is not None:
        found = await from_expression(context, model, node, pointer=pointer)
        found = dataclasses.replace(found, vector=normalise(model.manifest.latent, found.vector))
    else:
        found = from_source(model, stop, pointer)
    return found if stop.label is None else dataclasses.replace(found, label=label_index(model, stop.label))
