"""The ancestors: the GAN of Goodfellow et al. 2014 and, with labels, the conditional GAN of Mirza and Osindero 2014."""

from __future__ import annotations

from typing import cast

from torch import nn

from training.algorithms.base import Setting, plain_copy
from training.algorithms.two_player import TwoPlayer
from training.compute.randomness import StepRandom
from training.networks.mlp import MlpDiscriminator, MlpGenerator
from training.networks.start import initialise_linear


class Gan(TwoPlayer):
    """Fully connected networks; conditional when the recipe's data has labels."""

    def __init__(self, setting: Setting) -> None:
        recipe, data, labels = setting.recipe, setting.data, len(setting.data.classes)
        generator = MlpGenerator(recipe.mlp, data.sides, data.channels, recipe.latent.size, labels)
        discriminator = MlpDiscriminator(recipe.mlp, recipe.technique, data.sides, data.channels, labels)
        first = StepRandom(recipe.run.seed, 0)
        initialise_linear(generator, first.generator("generator"))
        initialise_linear(discriminator, first.generator("discriminator"))
        super().__init__(setting, generator, discriminator)

    def export_discriminator(self) -> nn.Module | None:
        """Logit and features of a picture; a conditional one cannot take a picture without its label."""
        discriminator = cast(MlpDiscriminator, plain_copy(self.discriminator))
        return None if discriminator.conditional else self.critic(discriminator)
