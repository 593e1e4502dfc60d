"""One file per GAN family; `ALGORITHMS` is the table the recipes' `algorithm` key is looked up in."""

from __future__ import annotations

from training.algorithms.base import Algorithm, Setting
from training.algorithms.dcgan import Dcgan
from training.errors import RecipeError

ALGORITHMS: dict[str, type[Algorithm]] = {"dcgan": Dcgan}


def build(setting: Setting) -> Algorithm:
    """The algorithm the recipe names, with fresh weights drawn from the run's seed."""
    name = setting.recipe.algorithm
    if name not in ALGORITHMS:
        raise RecipeError(f"unknown algorithm '{name}'; one of {', '.join(sorted(ALGORITHMS))}")
    return ALGORITHMS[name](setting)
