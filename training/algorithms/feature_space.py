"""Where real and generated pictures lie in one layer's features, and what generated ones have to go."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from training.methods.frechet import Moments, Target, Transport, transport
from training.recipes.tables import MatchingTable


class FeatureSpace:
    """`size` features of a picture, then its one-hot label where `labels` classes count; the moments of real and generated.

    `population`: of about how many of the last generated pictures theirs are.
    """

    def __init__(self, size: int, labels: int, table: MatchingTable, population: int, device: torch.device) -> None:
        self.size, self.table = size, table
        self.real, self.fake = Moments(size + labels, 0, device), Moments(size + labels, population, device)
        self.target = Target(self.real)
        self.way: Transport | None = None

    def loss(self, features: Tensor) -> Tensor:
        """Mean squared distance that features [N, F + K] have to go, in units of the real pictures' variance."""
        assert self.way is not None
        ways = (features - self.way.ends(features, self.fake.mean))[:, : self.size]  # labels stay what they are
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
        return self.real.covariance.diagonal()[: self.size].sum()

    def _scale(self) -> Tensor:
        """Labels count as much as all features together, times the recipe's weight."""
        scale = torch.ones_like(self.real.mean)
        scale[self.size :] = self.table.labels * self._variance().sqrt()
        return scale
