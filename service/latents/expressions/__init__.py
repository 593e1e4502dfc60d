"""The little language of latent arithmetic: `mean(a, b, c) - mean(d, e) + 0.5 * dir(smiling)`.

Numbers, names of saved latents, `seed(7)`, `dir(name)`, parentheses, `+ - * /`, `mean`, `lerp`, `slerp`; nothing else.
Length, depth and the number of names are limited, and every error points to a column.
"""

from service.latents.expressions.evaluate import Evaluation, evaluate
from service.latents.expressions.parser import parse
from service.latents.expressions.tokens import ExpressionError
from service.latents.expressions.tree import Node, Term, directions_of, names_of, render, seeds_of, terms_of

__all__ = [
    "Evaluation",
    "ExpressionError",
    "Node",
    "Term",
    "directions_of",
    "evaluate",
    "names_of",
    "parse",
    "render",
    "seeds_of",
    "terms_of",
]
