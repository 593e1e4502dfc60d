"""The pictures of an equation: what every operand and each of its exemplars looks like."""

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Any

from models.errors import LatentError
from models.mathematics.latents import Vector, check, normalise
from service.engine.model import Model
from service.errors import InvalidValueError
from service.images.equation import Column, draw_equation
from service.images.png import Pixels
from service.images.sheet import contact_sheet
from service.latents.expressions import (
    Evaluation,
    Node,
    Term,
    directions_of,
    evaluate,
    names_of,
    render,
    seeds_of,
    terms_of,
)
from service.latents.expressions.tree import Number, Product
from service.latents.record import to_base64
from service.operations.base import Context
from service.operations.generate import Want, check_result_pixels, generate, label_index
from service.operations.lookup import evaluation
from service.operations.read_back import floats_of
from service.operations.requests import Generation
from service.operations.results import Picture, Pictures


async def equation_picture(
    context: Context,
    model: Model,
    node: Node,
    request: Generation,
    result: Pictures,
    neighbourhood: dict[str, Any] | None,
    sources: Evaluation,
) -> Pictures:
    """`result` as one picture: operands with their exemplars, signs, and what comes out (a sheet of neighbours too).

    Its recipe carries the numbers of every saved operand, so that it can be drawn again where nothing is saved.
    """
    terms = terms_of(node)
    shown = [_nodes(term) for term in terms]
    count = sum(len(nodes) for nodes in shown)
    check_result_pixels(context.state.settings, model, count + len(result.pictures), request.scale)
    pixels = await _generate(context, model, [part for nodes in shown for part in nodes], sources, request, result)
    made = iter(pixels)
    pictures = [[next(made) for _ in nodes] for nodes in shown]
    columns = [_column(term, own) for term, own in zip(terms, pictures, strict=True)]
    outcome = contact_sheet([p.pixels for p in result.pictures], result.columns)
    side = result.pictures[0].pixels.shape[:2]
    drawn = await asyncio.to_thread(draw_equation, columns, outcome, (side[0], side[1]), "")
    middle = result.pictures[result.extra["result_index"]]
    recipe: dict[str, Any] = {**middle.recipe, "layout": "equation", "operands": _operands(sources)}
    recipe |= {} if neighbourhood is None else {"neighbourhood": neighbourhood}
    single = Picture(drawn, None, middle.label, middle.latent, recipe)
    extra = {**result.extra, "result_index": 0}
    return dataclasses.replace(result, pictures=(single,), columns=None, stack=None, extra=extra)


def _operands(sources: Evaluation) -> dict[str, dict[str, str]]:
    """What the names of an expression stand for, as base64 of float32."""

    def packed(vectors: Mapping[str, Vector]) -> dict[str, str]:
        return {name: to_base64(row) for name, row in vectors.items()}

    return {"latents": packed(sources.latents), "directions": packed(sources.directions)}


def operands_of(model: Model, node: Node, recipe: Mapping[str, Any]) -> Evaluation:
    """The inverse: the sources of an equation from its recipe. Raises InvalidValueError where one is missing or wrong."""
    operands = recipe.get("operands")
    groups = operands if isinstance(operands, dict) else {}
    saved = {leaf.name: _operand(model, groups.get("latents"), leaf.name) for leaf in names_of(node)}
    arrows = {leaf.name: _operand(model, groups.get("directions"), leaf.name) for leaf in directions_of(node)}
    return evaluation(model, saved, arrows)


def _operand(model: Model, group: Any, name: str) -> Vector:
    if not isinstance(group, dict) or name not in group:
        raise InvalidValueError(f"the recipe does not say what {name!r} is")
    try:
        return check(model.manifest.latent, floats_of(group[name]))
    except LatentError as error:
        raise InvalidValueError(f"an operand in the recipe is damaged: {error}") from None


def _factor(node: Node) -> tuple[str, Node]:
    """A number in front, as text, and what it multiplies."""
    if isinstance(node, Product) and len(node.parts) == 2 and isinstance(node.parts[0][1], Number):
        operator, inner = node.parts[1]
        if operator == "*":
            return render(node.parts[0][1]), inner
    return "", node


def _nodes(term: Term) -> list[Node]:
    """What is generated for an operand: its exemplars where there are several, then itself; nothing for a direction."""
    if directions_of(term.node) and not names_of(term.node) and not seeds_of(term.node):
        return []
    _, inner = _factor(term.node)
    return [*term.exemplars, inner] if len(term.exemplars) > 1 else [inner]


def _column(term: Term, pixels: list[Pixels]) -> Column:
    factor, inner = _factor(term.node)
    sign = "+" if term.sign > 0 else "−"
    return Column(sign, factor, tuple(pixels[:-1]), pixels[-1] if pixels else None, render(inner))


async def _generate(
    context: Context, model: Model, nodes: list[Node], sources: Evaluation, request: Generation, result: Pictures
) -> list[Pixels]:
    if not nodes:
        return []
    label = result.pictures[result.extra["result_index"]].label
    index = None if label is None else label_index(model, label)
    wants = [Want(_vector(model, node, sources), None, index) for node in nodes]
    made = await generate(context, model, wants, scale=request.scale)
    return [picture.pixels for picture in made.pictures]


def _vector(model: Model, node: Node, sources: Evaluation) -> Any:
    """An exemplar as it is; a mean or a sum brought back to the prior, or its picture would be dull."""
    vector = evaluate(node, sources)
    return vector if not node_is_computed(node) else normalise(model.manifest.latent, vector)


def node_is_computed(node: Node) -> bool:
    """Whether a node is more than one saved latent or one seed."""
    return len(names_of(node)) + len(seeds_of(node)) > 1 or bool(directions_of(node))
