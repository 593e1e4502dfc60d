"""A projected GAN (Sauer et al. 2021): a generator against light heads on frozen, pretrained features.

Relativistic pairs, R1 and R2 on the features: no gradient runs through the frozen network for a penalty. One step looks at
the real pictures once and at the generated ones once; both players move on those looks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from training import losses
from training.algorithms.base import Setting
from training.algorithms.two_player import TwoPlayer
from training.augment import augment
from training.data.batch import Batch
from training.networks.dcgan import DcganGenerator
from training.networks.efficientnet import pretrained_lite0
from training.networks.layers import initialise
from training.networks.modern import ModernGenerator
from training.networks.projected import Heads, ProjectedFeatures
from training.randomness import StepRandom
from training.recipe_tables import LossTable

Maps = list[Tensor]


class Projected(TwoPlayer):
    """A generator whose pictures heads on pretrained features judge; the judge is not exported."""

    def __init__(self, setting: Setting) -> None:
        recipe, data, labels = setting.recipe, setting.data, len(setting.data.classes)
        first = StepRandom(recipe.run.seed, 0)
        build = ModernGenerator if recipe.generator.build == "modern" else DcganGenerator
        generator = build(recipe.generator, data.size, data.channels, recipe.latent.size, labels)
        initialise(generator, first.generator("generator"))
        if isinstance(generator, ModernGenerator):
            generator.begin(first.generator("generator"))
        super().__init__(setting, generator, Heads(data.size, labels))
        features = ProjectedFeatures(pretrained_lite0(), first.generator("projection"))
        self.features = self.prepare(features)

    def step(self, batch: Batch, random: StepRandom) -> dict[str, Tensor]:
        """The heads `discriminator_steps` times, then the generator on the last look; see `Algorithm.step`."""
        self._before_step(batch, random)
        stats: dict[str, Tensor] = {}
        for index, part in enumerate(batch.chunks(self.recipe.optimizer.discriminator_steps)):
            fake = self._generate(part, random, f"latents.{index}")
            with torch.no_grad():
                real_maps = self._look(part.pictures, random, f"augment.{index}.real")
            fake_maps = self._look(fake, random, f"augment.{index}.fake")
            stats = self._move_heads(real_maps, [seen.detach() for seen in fake_maps], part.labels, random.step)
        stats |= self._move_against(real_maps, fake_maps, part.labels)
        self._average(random.step)
        return stats

    def _look(self, pictures: Tensor, random: StepRandom, purpose: str) -> Maps:
        seen = augment(pictures, self.recipe.augment.policy, random, purpose)
        if self.recipe.run.channels_last:
            seen = seen.contiguous(memory_format=torch.channels_last)
        maps: Maps = self.features(seen)
        return maps

    def _move_heads(self, real: Maps, fake: Maps, labels: Tensor | None, step: int) -> dict[str, Tensor]:
        table = self.recipe.loss
        self.discriminator.requires_grad_(True)
        due = step % table.r1_every == 0
        real, fake = _watched(real, bool(due and table.r1_gamma)), _watched(fake, bool(due and table.r2_gamma))
        real_says, fake_says = self.discriminator(real, labels), self.discriminator(fake, labels)
        loss = _summed(losses.DISCRIMINATOR_LOSSES[table.kind](*pair, table.real_target) for pair in zip(real_says, fake_says, strict=True))
        stats = {"discriminator_loss": loss.detach()} | _accuracies(table, real_says, fake_says)
        for name, gamma, says, maps in (("r1", table.r1_gamma, real_says, real), ("r2", table.r2_gamma, fake_says, fake)):
            if due and gamma:
                penalty = _summed(losses.zero_centred_penalty(*pair) for pair in zip(says, maps, strict=True))
                loss, stats[name] = loss + 0.5 * gamma * table.r1_every * penalty, penalty.detach()
        self._descend(loss, self.discriminator_optimizer, self.discriminator)
        return stats

    def _move_against(self, real: Maps, fake: Maps, labels: Tensor | None) -> dict[str, Tensor]:
        kind = self.recipe.loss.kind
        self.discriminator.requires_grad_(False)
        with torch.no_grad():
            real_says: Maps = self.discriminator(real, labels) if losses.needs_pairs(kind) else [seen for seen in real]
        fake_says: Maps = self.discriminator(fake, labels)
        loss = _summed(losses.generator_loss(kind, f, r) for f, r in zip(fake_says, real_says, strict=True))
        self._descend(loss, self.generator_optimizer, self.generator)
        return {"generator_loss": loss.detach()}

    def export_discriminator(self) -> nn.Module | None:
        """None: the pretrained part stays with training."""
        return None


def _watched(maps: Maps, wanted: bool) -> Maps:
    """Detached copies that a penalty can ask for gradients of."""
    return [seen.detach().requires_grad_(wanted) for seen in maps]


def _summed(costs: Any) -> Tensor:
    return torch.stack(list(costs)).sum()


def _accuracies(table: LossTable, real: Maps, fake: Maps) -> dict[str, Tensor]:
    """Shares of right verdicts over all heads; of relativistic pairs only the difference is a verdict."""
    if losses.needs_pairs(table.kind):
        return {"pair_accuracy": losses.accuracy(torch.cat(real) - torch.cat(fake), real=True).detach()}
    return {
        "real_accuracy": losses.accuracy(torch.cat(real), real=True),
        "fake_accuracy": losses.accuracy(torch.cat(fake), real=False),
    }
