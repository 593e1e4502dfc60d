"""What the names in an expression stand for: saved latents, saved directions, directions that ship with the bundle."""

import asyncio
from collections.abc import Mapping, Sequence

from models.mathematics import latents
from models.mathematics.directions import read_directions
from models.mathematics.latents import Vector
from service.engine.model import Model
from service.latents import Parent, Saved
from service.latents.expressions import (
    Evaluation,
    ExpressionError,
    Node,
    directions_of,
    evaluate,
    names_of,
    parse,
    render,
    seeds_of,
)
from service.latents.names import nearest_hint
from service.operations.base import Context
from service.operations.generate import label_index
from service.operations.vectors import Found, check_bundle


async def model_for(context: Context, reference: str | None, expressions: Sequence[Node]) -> Model:
    """The model asked for; without one, that of the first saved latent named; else the default."""
    names = [leaf.name for node in expressions for leaf in names_of(node)]
    if reference is None and names:
        saved = await context.state.latents.find(names[:1])
        if saved:
            return context.state.catalogue.get(saved[names[0]].reference)
    return context.state.catalogue.get(reference)


async def from_expression(context: Context, model: Model, node: Node, *, pointer: str = "/expression") -> Found:
    """The vector of a parsed expression, not yet normalised, with everything it was made from.

    Raises ExpressionError with the column of a name that does not exist, ConflictError for one of another bundle.
    """
    try:
        saved = await _saved(context, model, node)
        directions = await _directions(context, model, node)
        sources = evaluation(model, {name: record.vector for name, record in saved.items()}, directions)
        vector = evaluate(node, sources)
    except ExpressionError as error:
        error.errors = [{"pointer": pointer, "detail": error.detail}]
        raise
    parents = tuple(Parent(record.id, record.name) for record in saved.values())
    label, notes = _label(model, node, saved)
    text = render(node)
    return Found(vector, "expression", label, expression=text, parents=parents, notes=notes, sources=sources)


def evaluation(model: Model, saved: Mapping[str, Vector], directions: Mapping[str, Vector]) -> Evaluation:
    """What the names of an expression stand for, and the seeds of the model."""
    return Evaluation(saved, directions, lambda seed: latents.draw(model.manifest.latent, [seed])[0])


async def _saved(context: Context, model: Model, node: Node) -> dict[str, Saved]:
    mentions = names_of(node)
    found = await context.state.latents.find([leaf.name for leaf in mentions])
    for leaf in mentions:
        if leaf.name not in found:
            hint = nearest_hint(leaf.name, await context.state.latents.similar_names(leaf.name))
            raise ExpressionError(f"no saved latent {leaf.name!r}{hint}", leaf.column)
        check_bundle(found[leaf.name], model)
    return found


async def _directions(context: Context, model: Model, node: Node) -> dict[str, Vector]:
    mentions = directions_of(node)
    if not mentions:
        return {}
    saved = await context.state.directions.find([leaf.name for leaf in mentions])
    known = await asyncio.to_thread(read_directions, model.bundle)
    for leaf in mentions:
        if leaf.name in saved:
            check_bundle(saved[leaf.name], model)
        elif leaf.name not in known:
            hint = nearest_hint(leaf.name, [*known, *await context.state.directions.similar_names(leaf.name)])
            raise ExpressionError(f"no direction {leaf.name!r} for {model.reference}{hint}", leaf.column)
    return {leaf.name: (saved.get(leaf.name) or known[leaf.name]).vector for leaf in mentions}


def _label(model: Model, node: Node, saved: Mapping[str, Saved]) -> tuple[int | None, tuple[str, ...]]:
    """The class all operands share; the first operand's with a note where they differ."""
    if model.manifest.labels is None:
        return None, ()
    labels = [record.label for record in saved.values() if record.label is not None]
    labels += [str(model.label_name(label_index(model, None, leaf.seed))) for leaf in seeds_of(node)]
    if not labels:
        return None, ()
    chosen = label_index(model, labels[0])
    if len(set(labels)) == 1:
        return chosen, ()
    kinds = ", ".join(sorted(set(labels)))
    return chosen, (f"the operands have several labels ({kinds}); {labels[0]!r} is used, set label to choose",)


def parsed(text: str, pointer: str = "/expression") -> Node:
    """The tree of an expression; its errors point to the field it stands in."""
    try:
        return parse(text)
    except ExpressionError as error:
        error.errors = [{"pointer": pointer, "detail": error.detail}]
        raise
