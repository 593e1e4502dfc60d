"""What an expression says, as a tree; sums and products are flat, so depth is only what brackets make."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Function = Literal["mean", "lerp", "slerp"]
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class Number:
    """A plain number."""

    value: float
    column: int


@dataclass(frozen=True)
class Name:
    """A saved latent."""

    name: str
    column: int


@dataclass(frozen=True)
class Seed:
    """`seed(7)`: the latent of that seed."""

    seed: int
    column: int


@dataclass(frozen=True)
class Direction:
    """`dir(smiling)`: a saved direction, or one that ships with the bundle."""

    name: str
    column: int


@dataclass(frozen=True)
class Sum:
    """Terms with their signs, +1 or -1, left to right."""

    parts: tuple[tuple[int, "Node"], ...]
    column: int


@dataclass(frozen=True)
class Product:
    """Factors with their operators, left to right; the first operator is always `*`."""

    parts: tuple[tuple[Literal["*", "/"], "Node"], ...]
    column: int


@dataclass(frozen=True)
class Call:
    """`mean(...)`, `lerp(a, b, t)` or `slerp(a, b, t)`."""

    function: Function
    arguments: tuple["Node", ...]
    column: int


Node = Number | Name | Seed | Direction | Sum | Product | Call


@dataclass(frozen=True)
class Term:
    """One operand of the outermost sum: its sign, the node, and the exemplars a mean is taken over."""

    sign: int
    node: Node
    exemplars: tuple[Node, ...]

    @property
    def text(self) -> str:
        """The operand as it would be typed, without its sign."""
        return render(self.node)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below."""
    if isinstance(node, Sum | Product):
        return tuple(part for _, part in node.parts)
    return node.arguments if isinstance(node, Call) else ()


def leaves(node: Node) -> Iterator[Node]:
    """Numbers, names, seeds and directions, left to right."""
    below = children(node)
    if not below:
        yield node
    for child in below:
        yield from leaves(child)


def names_of(node: Node) -> list[Name]:
    """Every mention of a saved latent."""
    return [leaf for leaf in leaves(node) if isinstance(leaf, Name)]


def directions_of(node: Node) -> list[Direction]:
    """Every mention of a direction."""
    return [leaf for leaf in leaves(node) if isinstance(leaf, Direction)]


def seeds_of(node: Node) -> list[Seed]:
    """Every mention of a seed."""
    return [leaf for leaf in leaves(node) if isinstance(leaf, Seed)]


def terms_of(node: Node) -> list[Term]:
    """The operands of the outermost sum; an expression that is no sum is one operand."""
    parts = node.parts if isinstance(node, Sum) else ((1, node),)
    return [Term(sign, part, _exemplars(part)) for sign, part in parts]


def _exemplars(node: Node) -> tuple[Node, ...]:
    """The arguments of the operand's mean, also behind a factor; the operand itself otherwise."""
    means = [part for part in (node, *children(node)) if isinstance(part, Call) and part.function == "mean"]
    return means[0].arguments if means and not isinstance(node, Sum) else (node,)


def quoted(name: str) -> str:
    """A name as an expression writes it."""
    return name if IDENTIFIER.match(name) else f'"{name}"'


def render(node: Node) -> str:
    """The expression in its one canonical spelling; parsing it gives the same tree but for columns."""
    match node:
        case Number(value):
            return repr(int(value)) if value.is_integer() else repr(value)
        case Name(name):
            return quoted(name)
        case Seed(seed):
            return f"seed({seed})"
        case Direction(name):
            return f"dir({quoted(name)})"
        case Call(function, arguments):
            return f"{function}({', '.join(render(argument) for argument in arguments)})"
        case Product(parts):
            return " ".join(_factor(k, operator, part) for k, (operator, part) in enumerate(parts))
        case Sum(parts):
            return " ".join(_summand(k, sign, part) for k, (sign, part) in enumerate(parts))


def _factor(k: int, operator: str, node: Node) -> str:
    text = f"({render(node)})" if isinstance(node, Sum | Product) else render(node)
    return text if k == 0 else f"{operator} {text}"


def _summand(k: int, sign: int, node: Node) -> str:
    text = f"({render(node)})" if isinstance(node, Sum) else render(node)
    if k == 0:
        return text if sign > 0 else f"-{text}"
    return f"{'+' if sign > 0 else '-'} {text}"
