"""A projected GAN (Sauer et al. 2021): a generator against light heads on frozen, pretrained features.

One step looks at the real pictures once and at the generated ones once; both players move on those looks.
"""

from __future__ import annotations

from torch import Tensor

from training.algorithms.base import Setting
from training.algorithms.feature_discriminator import FeatureDiscriminator
from training.algorithms.generators import make_generator
from training.algorithms.two_player import TwoPlayer
from training.compute.randomness import StepRandom
from training.data.batch import Batch
from training.networks.efficientnet import pretrained_lite0
from training.networks.projected import ProjectedFeatures


class Projected(TwoPlayer):
    """A generator whose pictures heads on pretrained features score; the discriminator is not exported."""

    def __init__(self, setting: Setting) -> None:
        recipe, heads = setting.recipe, FeatureDiscriminator.make_heads(setting, setting.data.size)
        super().__init__(setting, make_generator(setting), heads)
        features = ProjectedFeatures(pretrained_lite0(), StepRandom(recipe.run.seed, 0).generator("projection"))
        self.prepare(features)
        self.feature_discriminator = FeatureDiscriminator(setting, features, heads)

    def step(self, batch: Batch, random: StepRandom) -> dict[str, Tensor]:
        """The heads `discriminator_steps` times, then the generator on the last look; see `Algorithm.step`."""
        self._before_step(batch, random)
        stats: dict[str, Tensor] = {}
        for index, part in enumerate(batch.chunks(self.recipe.optimizer.discriminator_steps)):
            fake = self._generate(part, random, f"latents.{index}")
            looks = self.feature_discriminator.look(
                part.pictures, fake, part.labels, random, f"augment.{index}", self.augment_probability
            )
            loss, stats = self.feature_discriminator.heads_cost(looks, random.step)
            self._descend(loss, self.discriminator_optimizer, self.discriminator)
        cost, paid = self.feature_discriminator.generator_cost(looks)
        self._descend(cost, self.generator_optimizer, self.generator)
        self._average(random.step)
        return stats | paid | self._adapt(stats)
