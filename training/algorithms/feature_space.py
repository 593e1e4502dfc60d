"""Where real and generated pictures lie in the features of one frozen network, and what generated ones have to go."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.compute import precision
from training.methods.frechet import Moments, Target, Transport, transport
from training.pretrained.efficientnet import FEATURES, efficientnet_lite
from training.recipes.recipe import Recipe


class FeatureSpace:
    """EfficientNet-lite`number`, frozen, and the moments of both; `labels`: how many classes are part of the features."""

    def __init__(self, number: int, recipe: Recipe, labels: int, device: torch.device) -> None:
        self.network = cast(nn.Module, copy.deepcopy(efficientnet_lite(number).network).to(device))
        self.number, self.labels = number, labels
        self.table, self.precision = recipe.matching, recipe.run.precision
        size = FEATURES + labels
        self.real, self.fake = Moments(size, 0, device), Moments(size, self.table.population, device)
        self.target, self.way = Target(self.real), cast(Transport | None, None)

    def features(self, pictures: Tensor, labels: Tensor | None) -> Tensor:
        """Pictures [N, 1 or 3, s, s] in [-1, 1] -> features, averaged over places, and labels [N, F + K]."""
        seen = pictures.clamp(-1, 1).expand(-1, 3, -1, -1)
        side, smaller = self.table.side, pictures.shape[-1] > self.table.side
        if pictures.shape[-1] != side:
            seen = F.interpolate(seen, size=(side, side), mode="bilinear", align_corners=False, antialias=smaller)
        with precision.autocast(self.precision, pictures.device):
            maps = self.network.extract_features(seen.contiguous(memory_format=torch.channels_last))  # type: ignore[operator]
        found: Tensor = maps.float().mean((2, 3))
        return torch.cat([found, labels], 1) if self.labels and labels is not None else found

    def loss(self, features: Tensor) -> Tensor:
        """Mean squared distance that features [N, F + K] have to go, in units of the real pictures' variance."""
        assert self.way is not None
        ways = (features - self.way.ends(features, self.fake.mean))[:, :FEATURES]  # labels stay what they are
        return ways.square().sum(1).mean() / self._variance()

    def find_way(self) -> None:
        """Computes it anew from the moments as they are."""
        self.way = transport(self.fake, self.target, self._scale())

    def state(self) -> dict[str, Any]:
        """What continues it."""
        way = None if self.way is None else dict(vars(self.way))
        return {"real": self.real.state(), "fake": self.fake.state(), "way": way}

    def load(self, state: dict[str, Any]) -> None:
        """Continues from `state`."""
        self.real.load(state["real"])
        self.fake.load(state["fake"])
        self.way = Transport(**state["way"]) if state["way"] else None

    def _variance(self) -> Tensor:
        return self.real.covariance.diagonal()[:FEATURES].sum()

    def _scale(self) -> Tensor:
        """Labels count as much as all features together, times the recipe's weight."""
        scale = torch.ones_like(self.real.mean)
        scale[FEATURES:] = self.table.labels * self._variance().sqrt()
        return scale
