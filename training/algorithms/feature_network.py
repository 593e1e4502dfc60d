"""A frozen pretrained network whose features of generated pictures are to become those of real ones.

The last layer's, averaged over places, say what a picture shows. What the early stages say, means and deviations over places
(as style losses compare them: Huang and Belongie 2017), keeps textures and edges real: without them a generator learns, beside
what is shown, fine patterns that move the last layer and are seen as a grid of dots.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.algorithms.feature_space import Compared, FeatureSpace
from training.compute import precision
from training.methods.frechet import Transport
from training.pretrained.efficientnet import FEATURES, efficientnet_lite
from training.pretrained.stages import StageMaps
from training.recipes.recipe import Recipe

QUICKER = 4  # early stages change within few moves and have few features: of fewer pictures, and found anew more often
LEAST_VARIANCE = 1e-4  # added below the root: the deviation of a map that is even has a gradient, too


class FeatureNetwork(Compared):
    """EfficientNet-lite`number` and its spaces; `labels`: how many classes are part of the features."""

    def __init__(self, number: int, recipe: Recipe, labels: int, device: torch.device) -> None:
        self.network = cast(nn.Module, copy.deepcopy(efficientnet_lite(number).network).to(device))
        self.number, self.labels = number, labels
        self.table, self.precision = recipe.matching, recipe.run.precision
        self.last = FeatureSpace(FEATURES, labels, self.table, self.table.population, device)
        self.maps = StageMaps(self.network) if self.table.early else None
        stages = self.maps.stages if self.maps else []
        recent = self.table.population // QUICKER
        self.early = [FeatureSpace(2 * stage.channels, labels, self.table, recent, device) for stage in stages]
        self.spaces = [self.last, *self.early]

    def find_ways(self, step: int) -> None:
        """The last layer's every `matching.every` steps, early ones more often."""
        every = self.table.every
        if step % every == 0 or self.last.way is None:
            self.last.find_way()
        for space in self.early:
            if step % max(1, every // QUICKER) == 0 or space.way is None:
                space.find_way()

    def loss(self, pictures: Tensor, labels: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """The last layer's cost, and early stages' by their weight."""
        found = self.look(pictures, labels)
        costs = [space.loss(features) for space, features in zip(self.spaces, found, strict=True)]
        stats = {f"lite{self.number}_frechet": cast(Transport, self.last.way).distance}
        cost, early = costs[0], sum(costs[1:], torch.zeros_like(costs[0]))
        if self.early:
            stats[f"lite{self.number}_early_loss"] = early
        return cost + self.table.early * early, stats

    def seen(self, pictures: Tensor) -> list[Tensor]:
        """Of the last layer [N, 1280], then of each early stage [N, 2 C], finest first."""
        with precision.autocast(self.precision, pictures.device):
            last = self.network.extract_features(self._scaled(pictures))  # type: ignore[operator]
        return [last.float().mean((2, 3)), *map(_means_and_deviations, self.maps.take() if self.maps else [])]

    def state(self) -> dict[str, Any]:
        """What continues its spaces, by keys of its own."""
        key = f"matching.{self.number}"
        return {key: self.last.state(), f"{key}.early": [space.state() for space in self.early]}

    def load(self, state: dict[str, Any]) -> None:
        """Continues from its own keys of `state`; runs from before there were early stages hold none."""
        key = f"matching.{self.number}"
        self.last.load(state[key])
        for space, known in zip(self.early, state.get(f"{key}.early", []), strict=True):
            space.load(known)

    def _scaled(self, pictures: Tensor) -> Tensor:
        seen = pictures.clamp(-1, 1).expand(-1, 3, -1, -1)
        side, smaller = self.table.side, pictures.shape[-1] > self.table.side
        if pictures.shape[-1] != side:
            seen = F.interpolate(seen, size=(side, side), mode="bilinear", align_corners=False, antialias=smaller)
        return seen.contiguous(memory_format=torch.channels_last)


def _means_and_deviations(maps: Tensor) -> Tensor:
    """[N, C, h, w] -> over places, [N, 2 C]."""
    seen = maps.float()
    return torch.cat([seen.mean((2, 3)), (seen.var((2, 3), correction=0) + LEAST_VARIANCE).sqrt()], 1)
