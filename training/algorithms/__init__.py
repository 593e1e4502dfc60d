"""One file per GAN family; `ALGORITHMS` is the table the recipes' `algorithm` key is looked up in.

An algorithm builds its networks and makes one step; the loop is training.run.
May import: training.networks, methods, data, recipes, compute.
"""

from __future__ import annotations

from training.algorithms.base import Algorithm, Setting
from training.algorithms.dcgan import Dcgan
from training.algorithms.gan import Gan
from training.algorithms.improved_gan import ImprovedGan
from training.algorithms.lapgan import Lapgan
from training.algorithms.matched import Matched
from training.algorithms.projected import Projected
from training.compute.randomness import StepRandom
from training.errors import RecipeError

ALGORITHMS: dict[str, type[Algorithm]] = {
    "dcgan": Dcgan,
    "gan": Gan,
    "improved_gan": ImprovedGan,
    "lapgan": Lapgan,
    "projected": Projected,
}


def build(setting: Setting) -> Algorithm:
    """The algorithm the recipe names, with fresh weights drawn from the run's seed."""
    name = setting.recipe.algorithm
    if name not in ALGORITHMS:
        raise RecipeError(f"unknown algorithm '{name}'; one of {', '.join(sorted(ALGORITHMS))}")
    StepRandom(setting.recipe.run.seed, 0).seed_global()  # layers such as spectral norm draw as they are made
    algorithm = ALGORITHMS[name](setting)
    return Matched(algorithm) if setting.recipe.matching.networks else algorithm
