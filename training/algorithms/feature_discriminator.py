"""What a projected discriminator does in a step: look at pictures once, price both players' moves on those looks.

Shared by the projected GAN and by LAPGAN levels that use one. Penalties are taken on the features, so no second
derivative runs through the frozen network.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from training.algorithms.base import Setting
from training.compute.randomness import StepRandom
from training.methods import losses
from training.methods.augment import augment
from training.networks.projected import HeadOutput, Heads, Maps, ProjectedFeatures
from training.recipes.tables import LossTable


class Looks(NamedTuple):
    """The maps of one batch: of the real pictures (constants) and of the generated ones (gradients to the pictures)."""

    real: Maps
    fake: Maps
    labels: Tensor | None


class FeatureDiscriminator:
    """Heads on frozen features; whoever owns them descends the costs this gives."""

    def __init__(self, setting: Setting, features: ProjectedFeatures, heads: Heads) -> None:
        self.recipe, self.features, self.heads = setting.recipe, features, heads

    @staticmethod
    def make_heads(setting: Setting, size: int) -> Heads:
        """Heads for pictures of `size` pixels; they tell classes where the recipe has an auxiliary cost."""
        return Heads(size, len(setting.data.classes), setting.recipe.loss.auxiliary > 0)

    def look(
        self,
        real: Tensor,
        fake: Tensor,
        labels: Tensor | None,
        random: StepRandom,
        purpose: str,
        probability: Tensor | None = None,
    ) -> Looks:
        """Both batches [N, C, s, s] augmented and turned into maps."""
        with torch.no_grad():
            of_real = self._maps(augment(real, self.recipe.augment.policy, random, f"{purpose}.real", probability))
        of_fake = self._maps(augment(fake, self.recipe.augment.policy, random, f"{purpose}.fake", probability))
        return Looks(of_real, of_fake, labels)

    def heads_cost(self, looks: Looks, turn: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The heads' cost and its statistics; `turn` counts their moves, for penalties that come every so often."""
        table = self.recipe.loss
        self.heads.requires_grad_(True)
        due = turn % table.r1_every == 0
        real = _watched(looks.real, due and table.r1_gamma > 0)
        fake = _watched(looks.fake, due and table.r2_gamma > 0)
        of_real, of_fake = self.heads(real, looks.labels), self.heads(fake, looks.labels)
        real_says, fake_says = _logits(of_real), _logits(of_fake)
        cost = losses.DISCRIMINATOR_LOSSES[table.kind]
        loss = _sum(cost(*pair, table.real_target) for pair in zip(real_says, fake_says, strict=True))
        stats = {"discriminator_loss": loss.detach()} | _accuracies(table, real_says, fake_says)
        for name, gamma, says, maps in (
            ("r1", table.r1_gamma, real_says, real),
            ("r2", table.r2_gamma, fake_says, fake),
        ):
            if due and gamma:
                penalty = _sum(losses.zero_centred_penalty(*pair) for pair in zip(says, maps, strict=True))
                loss, stats[name] = loss + 0.5 * gamma * table.r1_every * penalty, penalty.detach()
        return self._with_classes(loss, stats, of_real, looks.labels, "real")

    def generator_cost(self, looks: Looks) -> tuple[Tensor, dict[str, Tensor]]:
        """What the heads, as they now are, make the generator pay, and its statistics."""
        kind = self.recipe.loss.kind
        self.heads.requires_grad_(False)  # their gradients would be computed for nothing
        of_fake = self.heads(looks.fake, looks.labels)
        real_says: list[Tensor | None] = [None] * len(of_fake)
        if losses.needs_pairs(kind):
            with torch.no_grad():
                real_says = list(_logits(self.heads(looks.real, looks.labels)))
        loss = _sum(losses.generator_loss(kind, *pair) for pair in zip(_logits(of_fake), real_says, strict=True))
        return self._with_classes(loss, {"generator_loss": loss.detach()}, of_fake, looks.labels, "fake")

    def _with_classes(
        self, loss: Tensor, stats: dict[str, Tensor], outputs: list[HeadOutput], labels: Tensor | None, of: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss with the auxiliary cost: the heads' class logits averaged, one classifier made of four."""
        told = [output.classes for output in outputs if output.classes is not None]
        if not told or labels is None:
            return loss, stats
        cost = losses.auxiliary_loss(torch.stack(told).mean(0), labels)
        return loss + self.recipe.loss.auxiliary * cost, stats | {f"class_loss_{of}": cost.detach()}

    def _maps(self, pictures: Tensor) -> Maps:
        if self.recipe.run.channels_last:
            pictures = pictures.contiguous(memory_format=torch.channels_last)
        maps: Maps = self.features(pictures)
        return maps


def _watched(maps: Maps, wanted: bool) -> Maps:
    """Detached copies that a penalty can ask for gradients of."""
    return [seen.detach().requires_grad_(wanted) for seen in maps]


def _logits(outputs: list[HeadOutput]) -> list[Tensor]:
    return [output.logit for output in outputs]


def _sum(costs: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(costs)).sum()


def _accuracies(table: LossTable, real: Maps, fake: Maps) -> dict[str, Tensor]:
    """Shares of right verdicts over all heads; of relativistic pairs only the difference is a verdict."""
    if losses.needs_pairs(table.kind):
        return {"pair_accuracy": losses.accuracy((torch.cat(real) - torch.cat(fake)).detach(), real=True)}
    return {
        "real_accuracy": losses.accuracy(torch.cat(real), real=True),
        "fake_accuracy": losses.accuracy(torch.cat(fake), real=False),
    }
