"""Training on without a discriminator: a generator's pictures get the real ones' moments in pretrained features.

Representation Frechet loss (arXiv 2604.28190). The moments are of the last thousands of pictures, the gradients of one batch;
labels are part of the features, so that each class gets its own pictures (Frechet joint distance, DeVries et al. 2019). All
levels of a pyramid move together, by what comes out at its end. It refines what can paint already (`run.init_from`).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.manifest import Upsampling
from training.algorithms.base import Algorithm, Level, adam, decayed_rate
from training.algorithms.feature_network import FeatureNetwork
from training.algorithms.feature_space import Compared
from training.algorithms.linear_answers import LinearAnswers
from training.algorithms.picture_bands import PictureBands
from training.compute.randomness import StepRandom
from training.data.batch import Batch
from training.errors import RecipeError
from training.methods import ema

WARM_UP = 200
"""Moves until the full rate: moments are of the last thousands of pictures, so they see a quick move too late."""


class Matched(Algorithm):
    """An algorithm whose generators move by the distance of features alone; its discriminators rest."""

    def __init__(self, inner: Algorithm) -> None:
        super().__init__(inner.setting)
        if self.parallel.world_size > 1:
            raise RecipeError("matching.networks: moments are of one process; start one")
        self.inner, self.table = inner, self.recipe.matching
        labels = self.classes if self.table.labels else 0
        self.networks = [FeatureNetwork(number, self.recipe, labels, self.device) for number in self.table.networks]
        bands = [PictureBands(self.data, self.table, labels, self.device)] if self.table.bands else []
        self.compared: list[Compared] = [*self.networks, *bands]
        attributes = self.table.attributes
        self.answers = LinearAnswers.of(Path(attributes), self.data, self.device) if attributes else None
        weights = [weight for moving, _ in inner.generators() for weight in moving.parameters()]
        self.optimizer = adam(self.recipe.optimizer.generator, weights)

    @property
    def classes(self) -> int:
        """The inner algorithm's."""
        return self.inner.classes

    @property
    def latent_size(self) -> int:
        """The inner algorithm's."""
        return self.inner.latent_size

    def step(self, batch: Batch, random: StepRandom) -> dict[str, Tensor]:
        """Looks at the batch until enough real pictures are known; moves once enough generated ones are."""
        self._look_at_real(batch, random.step)
        labels = self._labels(len(batch.pictures), random)
        if random.step * self.recipe.run.batch < self.table.population:
            return self._look(labels, random)
        self._find_ways(random.step)
        return self._move(labels, random)

    def sample(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Of the averages."""
        return self.inner.sample(latents, labels)

    def draw(self, latents: Tensor, labels: Tensor | None, random: StepRandom) -> list[Tensor]:
        """The inner algorithm's."""
        return self.inner.draw(latents, labels, random)

    def state_dict(self) -> dict[str, Any]:
        """The inner algorithm's, the optimiser's and the moments."""
        state = self.inner.state_dict() | {"matching": self.optimizer.state_dict()}
        for compared in self.compared:
            state |= compared.state()
        return state | ({"matching.attributes": self.answers.state()} if self.answers else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from `state_dict()`."""
        self.inner.load_state_dict(state)
        self.optimizer.load_state_dict(state["matching"])
        for compared in self.compared:
            compared.load(state)
        if self.answers is not None:
            self.answers.load(state["matching.attributes"])

    def refresh_statistics(self, random: StepRandom) -> None:
        """The inner algorithm's."""
        self.inner.refresh_statistics(random)

    def export_levels(self) -> list[Level]:
        """The inner algorithm's."""
        return self.inner.export_levels()

    def export_discriminator(self) -> nn.Module | None:
        """A classifier of real pictures stays what it was; what told real from generated knows nothing of these pictures."""
        return self.inner.export_discriminator() if self.discriminator_kind == "classes" else None

    @property
    def discriminator_kind(self) -> Literal["real", "classes"]:
        """The inner algorithm's."""
        return self.inner.discriminator_kind

    def discriminators(self) -> list[dict[str, nn.Module]]:
        """The inner algorithm's."""
        return self.inner.discriminators()

    def generators(self) -> list[tuple[nn.Module, nn.Module]]:
        """The inner algorithm's."""
        return self.inner.generators()

    def upsampling(self) -> Upsampling | None:
        """The inner algorithm's."""
        return self.inner.upsampling()

    def _look_at_real(self, batch: Batch, step: int) -> None:
        if step * self.recipe.run.batch >= self.table.real:
            return
        with torch.no_grad():
            for compared in self.compared:
                compared.look_at_real(batch.pictures, batch.labels)
        if self.answers is not None and not self.answers.found:
            self.answers.look_at_real(batch.pictures)

    @torch.no_grad()
    def _look(self, labels: Tensor | None, random: StepRandom) -> dict[str, Tensor]:
        latents, pictures = self._draw(labels, random)
        for compared in self.compared:
            compared.look(pictures[-1], labels)
        if self.answers is not None:
            self.answers.look(latents, pictures[-1])
        return {}

    def _find_ways(self, step: int) -> None:
        for compared in self.compared:
            compared.find_ways(step)
        if self.answers is not None and not self.answers.found:
            self.answers.find()

    def _move(self, labels: Tensor | None, random: StepRandom) -> dict[str, Tensor]:
        latents, pictures = self._draw(labels, random)
        loss, stats = self._consistency(pictures), {}
        if self.answers is not None:
            stats["attributes_loss"] = self.answers.loss(latents, pictures[-1], random)
            stats["rare_attributes_loss"] = self._rare(self.answers, latents, labels, random)
            cost = stats["attributes_loss"] + stats["rare_attributes_loss"]
            loss = loss + self.table.attributes_weight * cost
        for compared in self.compared:
            cost, figures = compared.loss(pictures[-1], labels)
            loss, stats = loss + cost, stats | figures
        self._descend(loss, random.step)
        return {name: stat.detach() for name, stat in stats.items()} | {"matching_loss": loss.detach()}

    def _rare(self, answers: LinearAnswers, latents: Tensor, labels: Tensor | None, random: StepRandom) -> Tensor:
        """The answers' cost where attributes meet that seldom do; norms use what they know and learn nothing there."""
        rare = answers.spread(latents)
        for moving, _ in self.inner.generators():
            moving.eval()
        return answers.loss(rare, self.draw(rare, labels, random)[-1], random)

    def _descend(self, loss: Tensor, step: int) -> None:
        players, steps = self.recipe.optimizer, self.recipe.run.steps
        rate = decayed_rate(players.generator.lr, step, steps, players.decay_from)
        moved = step + 1 - self.table.population // self.recipe.run.batch
        self.optimizer.param_groups[0]["lr"] = rate * min(1.0, moved / WARM_UP)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        keep = ema.decay(self.recipe.ema.images, 0.0, self.recipe.run.batch, 0) if self.recipe.ema.images else 0.0
        for moving, average in self.inner.generators():
            ema.update(average, moving, keep)

    def _consistency(self, pictures: list[Tensor]) -> Tensor:
        """Each level's picture, made smaller, beside the one below it (`pyramid.consistency`)."""
        cost, weight = torch.zeros((), device=self.device), self.recipe.pyramid.consistency
        for low, high in pairwise(pictures):
            cost = cost + weight * (F.interpolate(high, size=low.shape[2:], mode="area") - low).abs().mean()
        return cost

    def _draw(self, labels: Tensor | None, random: StepRandom) -> tuple[Tensor, list[Tensor]]:
        """Latents [N, Z] and their pictures, level by level."""
        latents = random.latents("matching", self.recipe.run.batch, self.latent_size, self.recipe.latent.distribution)
        for moving, _ in self.inner.generators():
            moving.train()
        return latents, self.draw(latents, labels, random)

    def _labels(self, count: int, random: StepRandom) -> Tensor | None:
        classes = self.classes
        return F.one_hot(random.integers("matching.labels", classes, count), classes).float() if classes else None
