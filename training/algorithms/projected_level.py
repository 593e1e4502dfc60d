"""A LAPGAN level with a projected discriminator: heads on pretrained features of the sum of enlarged low picture and residual.

The sum is the whole picture, seen at 64 pixels whatever its size; low pictures get a random amount of noise while training, so
that a level forgives what the level below draws (conditioning augmentation: Ho et al. 2022, section 4.2).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from training.algorithms.base import Setting
from training.algorithms.feature_discriminator import FeatureDiscriminator
from training.algorithms.lapgan_level import LevelBatch, TrainedLevel
from training.compute.randomness import StepRandom, stream_seed
from training.networks.lapgan import ResidualLevel
from training.networks.layers import initialise
from training.networks.modern import ModernGenerator
from training.networks.projected import ProjectedFeatures


class ProjectedLevel(TrainedLevel):
    """`TrainedLevel` with a projected discriminator; the frozen features are shared by all levels."""

    def __init__(
        self,
        setting: Setting,
        size: int,
        noise_shape: tuple[int, ...],
        generator: nn.Module,
        features: ProjectedFeatures,
        every: int = 1,
    ) -> None:
        heads = FeatureDiscriminator.make_heads(setting, size)
        super().__init__(setting, size, noise_shape, generator, heads, every)
        self.feature_discriminator = FeatureDiscriminator(setting, features, heads)

    def begin_generator(self, generator: nn.Module, stream: torch.Generator) -> None:
        """The base begins as a DCGAN does: from fan-in scaled weights its tanh would be saturated at once."""
        if isinstance(generator, ResidualLevel):
            super().begin_generator(generator, stream)
        else:
            initialise(generator, stream)
        if isinstance(generator, ModernGenerator):
            generator.begin(stream)

    def begin_discriminator(self, discriminator: nn.Module, stream: torch.Generator) -> None:
        """Heads keep the start they were made with: larger weights make the first penalties huge."""

    def step(self, batch: LevelBatch, random: StepRandom) -> dict[str, Tensor]:
        """The heads once, the generator once, the average once; statistics carry the level's size."""
        self._set_rates(random.step)
        torch.manual_seed(stream_seed(random.seed, random.step, random.rank, f"{self.size}.global"))
        noise = self.noise(random, "noise", len(batch.real))
        shown = self.disturbed(batch, random)
        fake = self.picture(self.generator, shown.previous, noise, batch.labels)
        looks = self.feature_discriminator.look(batch.real, fake, batch.labels, random, f"{self.size}.augment")
        loss, stats = self.feature_discriminator.heads_cost(looks, random.step // self.every)
        self._descend(loss, self.discriminator_optimizer, self.discriminator)
        cost, paid = self.feature_discriminator.generator_cost(looks)
        loss, stats = self.recipe.pyramid.adversarial * cost, stats | paid
        for name, weight, value in self._anchors(batch, fake):
            loss, stats[name] = loss + weight * value, value.detach()
        self._descend(loss, self.generator_optimizer, self.generator)
        self._average(random.step)
        return {f"level{self.size}_{name}": value for name, value in stats.items()}

    def disturbed(self, batch: LevelBatch, random: StepRandom) -> LevelBatch:
        """The batch with noise on its low pictures, of a deviation drawn for each up to `conditioning_noise`."""
        most, previous = self.recipe.pyramid.conditioning_noise, batch.previous
        if previous is None or not most:
            return batch
        purpose = f"{self.size}.conditioning"
        deviation = random.uniform(f"{purpose}.deviation", len(previous), 1, 1, 1) * most
        return replace(batch, previous=previous + deviation * random.normal(purpose, *previous.shape))
