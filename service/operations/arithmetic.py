"""POST /arithmetic without HTTP: an expression of saved latents to one picture, its neighbourhood or the whole equation."""

import dataclasses
import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from models.mathematics.latents import normalise
from models.mathematics.walks import neighbours
from service.engine.model import Model
from service.latents.expressions import Node, names_of, seeds_of, terms_of
from service.latents.expressions.tree import Call, Name, Number, Product, Sum
from service.operations.base import Attachments, Context
from service.operations.equation import equation_picture
from service.operations.generate import Want, computed, generate, need_sampler
from service.operations.lookup import from_expression, model_for, parsed
from service.operations.requests import Expression, Generation, Seed, Strict, Tags
from service.operations.requests import Name as NameField
from service.operations.results import Pictures
from service.operations.vectors import Found, keep, want_of

EXEMPLARS = 3
Weight = Annotated[float, Field(ge=-1e6, le=1e6)]


class WeightedTerm(Strict):
    """The mean of some saved latents, times a weight."""

    latents: list[NameField] = Field(min_length=1, max_length=64)
    weight: Weight = 1.0


class Neighbourhood(Strict):
    """Pictures around the result: uniform noise of ±radius on every number of the latent (DCGAN paper, figure 7)."""

    radius: float = Field(0.25, gt=0, le=4)
    n: int = Field(8, ge=1, le=120, description="Neighbours; with 8 the result stands in the middle of a 3x3.")
    seed: Seed = Field(0, description="Of the noise.")


class ArithmeticRequest(Generation):
    """An expression, or terms, over saved latents of one bundle."""

    expression: Expression | None = Field(None, examples=["mean(a1, a2, a3) - mean(b1, b2, b3) + c"])
    terms: list[WeightedTerm] | None = Field(None, min_length=1, max_length=32)
    normalize: bool = Field(True, description="Bring the result back to the prior's shell or box.")
    neighbourhood: Neighbourhood | None = None
    save_as: NameField | None = Field(None, description="Keep the result with its parents.")
    replace: bool = Field(False, description="save_as may take a name that is in use.")
    tags: Tags = Field(default_factory=list)
    layout: Literal["images", "grid", "equation"] = Field(  # type: ignore[assignment]
        "images", description="equation: one picture of all operands, signs and the result."
    )

    @model_validator(mode="after")
    def _one_form(self) -> "ArithmeticRequest":
        if (self.expression is None) == (self.terms is None):
            raise ValueError("give either expression or terms")
        return self

    @property
    def count(self) -> int:
        """Pictures it computes: the result, its neighbours, and for an equation about one an operand."""
        around = self.neighbourhood.n if self.neighbourhood else 0
        operands = len(self.expression or "") // 4 if self.layout == "equation" else 0
        return 1 + around + operands


async def arithmetic(context: Context, request: ArithmeticRequest, attachments: Attachments) -> Pictures:
    """Look the names up, combine, bring back to the prior, make the pictures, keep the result if asked."""
    node = parsed(request.expression) if request.expression is not None else tree_of(request.terms or [])
    model = await model_for(context, request.model, [node])
    need_sampler(model)
    model = await computed(context, model, request.precision)
    raw = await from_expression(context, model, node)
    settled = normalise(model.manifest.latent, raw.vector) if request.normalize else raw.vector
    result = dataclasses.replace(raw, vector=settled)
    pictures = await combined_pictures(context, model, request, node, result)
    extra: dict[str, Any] = {"expression": result.expression, "norm": float(np.linalg.norm(raw.vector))}
    extra["parents"] = [{"id": parent.id, "name": parent.name} for parent in result.parents]
    if request.save_as is not None:
        shown = dataclasses.replace(result, label=want_of(model, result, request.label).label)
        await keep(context, model, shown, request.save_as, tags=request.tags, overwrite=request.replace)
        extra["saved"] = request.save_as
    nothing = () if raw.vector.any() else ("the operands cancel out; this is the picture of the prior's centre",)
    notes = (*result.notes, *nothing, *advice(node))
    return dataclasses.replace(pictures, extra={**pictures.extra, **extra}, notes=notes)


def around(request: ArithmeticRequest) -> int:
    """Pictures that can be made apart: the neighbourhood. What keeps its result or draws an equation is one piece."""
    if request.neighbourhood is None or request.save_as is not None or request.layout == "equation":
        return 1
    return 1 + request.neighbourhood.n


def tree_of(terms: list[WeightedTerm]) -> Node:
    """The expression a list of terms stands for."""
    parts = tuple((1 if term.weight >= 0 else -1, _weighted(term)) for term in terms)
    return Sum(parts, 1)


def _weighted(term: WeightedTerm) -> Node:
    names = tuple(Name(name, 1) for name in term.latents)
    inner: Node = names[0] if len(names) == 1 else Call("mean", names, 1)
    weight = abs(term.weight)
    return inner if weight == 1 else Product((("*", Number(weight, 1)), ("*", inner)), 1)


def advice(node: Node) -> tuple[str, ...]:
    """A gentle note where an operand is a single exemplar; the paper found these unstable (DCGAN, section 6.3.2)."""
    terms = terms_of(node)
    single = [term.text for term in terms if len(term.exemplars) == 1 and (names_of(term.node) or seeds_of(term.node))]
    if len(terms) < 2 or not single:
        return ()
    shown = ", ".join(single[:3]) + (", …" if len(single) > 3 else "")
    return (f"{shown}: one exemplar alone is unstable; the mean of {EXEMPLARS} or more usually works better",)


async def combined_pictures(
    context: Context,
    model: Model,
    request: ArithmeticRequest,
    node: Node,
    result: Found,
) -> Pictures:
    """The result, its neighbours, or the equation of what its `sources` say."""
    recipe = {"expression": result.expression, "normalize": request.normalize}
    around = request.neighbourhood
    wants = [want_of(model, dataclasses.replace(result, name=request.save_as), request.label, recipe)]
    if around is not None:
        wants = _surrounded(model, wants[0], around, request.normalize)
    columns = math.ceil(math.sqrt(len(wants)))
    pictures = await generate(
        context,
        model,
        context.mine(wants),
        truncation=request.truncation,
        scale=request.scale,
        op="arithmetic",
        columns=columns,
    )
    pictures = dataclasses.replace(pictures, extra={"result_index": (around.n if around else 0) // 2})
    if request.layout != "equation" or result.sources is None:
        return pictures
    neighbourhood = None if around is None else around.model_dump()
    return await equation_picture(context, model, node, request, pictures, neighbourhood, result.sources)


def _surrounded(model: Model, centre: Want, around: Neighbourhood, on_prior: bool) -> list[Want]:
    """The neighbours with the result in their middle."""
    prior = model.manifest.latent
    vectors = neighbours(prior, centre.vector, around.radius, around.n, around.seed, on_prior=on_prior)
    note = {**(centre.recipe or {}), "radius": around.radius, "noise_seed": around.seed}
    wants = [Want(vector, None, centre.label, None, {**note, "neighbour": k}) for k, vector in enumerate(vectors)]
    middle = around.n // 2
    return [*wants[:middle], centre, *wants[middle:]]
