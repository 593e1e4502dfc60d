"""Where real and generated pictures lie in some features of theirs, and what generated ones have to go."""

from __future__ import annotations

from abc import ABC, abstractmethod
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
        """`distance` in units of the real pictures' variance."""
        return self.distance(features) / self.variance()

    def distance(self, features: Tensor) -> Tensor:
        """Mean squared distance that features [N, F + K] have to go."""
        assert self.way is not None
        ways = (features - self.way.ends(features, self.fake.mean))[:, : self.size]  # labels stay what they are
        return ways.square().sum(1).mean()

    def variance(self) -> Tensor:
        """Of the real pictures' features together."""
        return self.real.covariance.diagonal()[: self.size].sum()

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

    def _scale(self) -> Tensor:
        """Labels count as much as all features together, times the recipe's weight."""
        scale = torch.ones_like(self.real.mean)
        scale[self.size :] = self.table.labels * self.variance().sqrt()
        return scale


class Compared(ABC):
    """Features of pictures in several spaces: first it looks, then finds ways, then its `loss` pulls."""

    spaces: list[FeatureSpace]
    labels: int

    @abstractmethod
    def seen(self, pictures: Tensor) -> list[Tensor]:
        """Features of pictures [N, C, s, s] in [-1, 1], space by space."""

    @abstractmethod
    def find_ways(self, step: int) -> None:
        """Computes those anew from the moments as they are whose turn it is."""

    @abstractmethod
    def loss(self, pictures: Tensor, labels: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """What generated pictures have to go, and figures for the log."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What continues its spaces, by keys of its own."""

    @abstractmethod
    def load(self, state: dict[str, Any]) -> None:
        """Continues from its own keys of `state`."""

    def look_at_real(self, pictures: Tensor, labels: Tensor | None) -> None:
        """Takes in real pictures [N, 1 or 3, s, s] in [-1, 1] and their labels [N, K]."""
        for space, features in zip(self.spaces, self.features(pictures, labels), strict=True):
            space.real.see(features)

    def look(self, pictures: Tensor, labels: Tensor | None) -> list[Tensor]:
        """Takes in generated ones; their features."""
        found = self.features(pictures, labels)
        for space, features in zip(self.spaces, found, strict=True):
            space.fake.see(features.detach())
        return found

    def features(self, pictures: Tensor, labels: Tensor | None) -> list[Tensor]:
        """Space by space [N, F + K], labels at the end where they count."""
        found = self.seen(pictures)
        return [torch.cat([features, labels], 1) for features in found] if self.labels and labels is not None else found
