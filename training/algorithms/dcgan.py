"""DCGAN (Radford et al. 2016) and what later work hangs on it: other losses, R1, conditioning, augmentation, averaging."""

from __future__ import annotations

from typing import cast

from torch import nn

from training.algorithms.base import Setting, plain_copy
from training.algorithms.generators import make_generator
from training.algorithms.two_player import TwoPlayer
from training.compute.randomness import StepRandom
from training.networks import weight_norm
from training.networks.dcgan import DcganDiscriminator
from training.networks.layers import fold_batch_norms, initialise


class Dcgan(TwoPlayer):
    """A convolutional generator against a convolutional discriminator."""

    def __init__(self, setting: Setting) -> None:
        recipe, data, labels = setting.recipe, setting.data, len(setting.data.classes)
        discriminator = DcganDiscriminator(
            recipe.discriminator,
            data.sides,
            data.channels,
            labels,
            auxiliary=recipe.loss.auxiliary > 0,
            technique=recipe.technique,
        )
        initialise(discriminator, StepRandom(recipe.run.seed, 0).generator("discriminator"))
        if recipe.discriminator.norm == "weight":
            weight_norm.normalise_all(discriminator)
        super().__init__(setting, make_generator(setting), discriminator)

    def export_discriminator(self) -> nn.Module | None:
        """Logit and features of a picture alone; a discriminator that needs the label as planes cannot take one."""
        discriminator = cast(DcganDiscriminator, plain_copy(self.discriminator))
        return None if discriminator.label_planes else fold_batch_norms(self.critic(discriminator))
