"""A training run in memory, for evidence: same steps and random numbers as a run folder's, no files and no clock."""

from __future__ import annotations

from training import algorithms
from training.algorithms.base import Algorithm, Setting
from training.compute.randomness import StepRandom
from training.data.dataset import Dataset, Sampler
from training.recipes.recipe import Recipe


def train(recipe: Recipe, data: Dataset) -> Algorithm:
    """The recipe's steps on pictures already read; statistics for sampling are recomputed at the end."""
    algorithm = algorithms.build(Setting(recipe, data.spec))
    seed, steps = recipe.run.seed, recipe.run.steps
    sampler = Sampler(len(data), algorithm.pictures_per_step, seed)
    for step in range(steps):
        random = StepRandom(seed, step)
        random.seed_global()
        algorithm.step(data.batch(sampler.indices(step), random), random)
    algorithm.refresh_statistics(StepRandom(seed, steps))
    return algorithm
