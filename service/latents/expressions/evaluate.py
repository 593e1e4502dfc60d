"""Compute a parsed expression on vectors, in float64, rounded to float32 once at the end. Pure."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.mathematics import latents
from models.mathematics.latents import Vector
from service.latents.expressions.tokens import ExpressionError
from service.latents.expressions.tree import Call, Direction, Name, Node, Number, Product, Seed, Sum

Wide = NDArray[np.float64]
Value = float | Wide


@dataclass(frozen=True)
class Evaluation:
    """Where the vectors [size] of an expression come from."""

    latents: Mapping[str, Vector]
    directions: Mapping[str, Vector]
    draw: Callable[[int], Vector]


def evaluate(node: Node, sources: Evaluation) -> Vector:
    """The vector [size] an expression stands for. Raises ExpressionError where numbers and vectors do not fit."""
    with np.errstate(all="ignore"):
        value = _value(node, sources)
        if isinstance(value, float):
            raise ExpressionError("this is a number; the result must be a latent", node.column)
        vector = value.astype(np.float32)
    if not np.isfinite(vector).all():
        raise ExpressionError("the result is too large for float32", node.column)
    return vector


def _value(node: Node, sources: Evaluation) -> Value:
    match node:
        case Number(value):
            return value
        case Name(name):
            return sources.latents[name].astype(np.float64)
        case Seed(seed):
            return sources.draw(seed).astype(np.float64)
        case Direction(name):
            return sources.directions[name].astype(np.float64)
        case Sum():
            return _sum(node, sources)
        case Product():
            return _product(node, sources)
        case Call():
            return _call(node, sources)


def _sum(node: Sum, sources: Evaluation) -> Value:
    total: Value | None = None
    for sign, part in node.parts:
        value = sign * _value(part, sources)
        if total is not None and isinstance(value, float) != isinstance(total, float):
            raise ExpressionError("a number cannot be added to a latent", part.column)
        total = value if total is None else total + value
    assert total is not None
    return total


def _product(node: Product, sources: Evaluation) -> Value:
    total: Value = 1.0
    for operator, part in node.parts:
        value = _value(part, sources)
        if operator == "/":
            total = total / _divisor(value, part)
        elif isinstance(value, float) or isinstance(total, float):
            total = total * value
        else:
            raise ExpressionError("two latents cannot be multiplied; use a number", part.column)
    return total


def _divisor(value: Value, node: Node) -> float:
    if not isinstance(value, float):
        raise ExpressionError("a latent cannot divide", node.column)
    if value == 0:
        raise ExpressionError("this divides by zero", node.column)
    return value


def _call(node: Call, sources: Evaluation) -> Value:
    if node.function == "mean":
        return np.asarray(sum(_vector(part, sources) for part in node.arguments) / len(node.arguments))
    a, b = (_vector(part, sources) for part in node.arguments[:2])
    t = _value(node.arguments[2], sources)
    if not isinstance(t, float) or not math.isfinite(t):
        raise ExpressionError(f"the third argument of {node.function} is a number", node.arguments[2].column)
    between = latents.slerp if node.function == "slerp" else latents.lerp
    return between(a.astype(np.float32), b.astype(np.float32), t).astype(np.float64)


def _vector(node: Node, sources: Evaluation) -> Wide:
    value = _value(node, sources)
    if isinstance(value, float):
        raise ExpressionError("a latent is expected here, not a number", node.column)
    return value
