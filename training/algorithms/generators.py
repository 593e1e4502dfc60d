"""The generator a recipe asks for, with its first weights drawn from the run's seed."""

from __future__ import annotations

from training.algorithms.base import Setting
from training.compute.randomness import StepRandom
from training.networks.dcgan import DcganGenerator
from training.networks.layers import initialise
from training.networks.modern import ModernGenerator


def make_generator(setting: Setting) -> DcganGenerator | ModernGenerator:
    """`generator.build`: the DCGAN's, or the modern one; both take (noise[, label])."""
    recipe, data, labels = setting.recipe, setting.data, len(setting.data.classes)
    stream = StepRandom(recipe.run.seed, 0).generator("generator")
    shape = (recipe.generator, data.sides, data.channels, recipe.latent.size, labels)
    if recipe.generator.build == "dcgan":
        plain = DcganGenerator(*shape)
        initialise(plain, stream)
        return plain
    modern = ModernGenerator(*shape)
    initialise(modern, stream)
    modern.begin(stream)
    return modern
