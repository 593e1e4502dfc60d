"""The Frechet distance of two sets of features as something to descend (representation Frechet loss, arXiv 2604.28190).

Between normal distributions the distance is the mean squared length of the shortest way from one to the other, and that way is
linear: x -> m' + T (x - m), T = C'^1/2 (C'^1/2 C C'^1/2)^-1/2 C'^1/2 (Dowson and Landau 1982). Its gradient in a feature x of n
is 2/n (x - the place x should go to). So moments are of thousands of pictures, and gradients of a small batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RIDGE = 1e-4  # of the mean variance, added to every one: a sample's smallest variances are noise
FAST = 1 / 8  # the mean is of this share of the pictures the covariance is of: it moves first


class Moments:
    """Mean [F] and covariance [F, F] (float32) of features that arrive in batches.

    `population`: of about so many of the last pictures; 0: of all there were.
    """

    def __init__(self, size: int, population: int = 0, device: torch.device | None = None) -> None:
        self.population = population
        self.count = torch.zeros((), dtype=torch.float64, device=device)
        self.mean = torch.zeros(size, device=device)
        self.covariance = torch.zeros(size, size, device=device)

    @torch.no_grad()
    def see(self, features: Tensor) -> None:
        """Takes in a batch [N, F]."""
        n = len(features)
        self.count += n
        share, fast = n / self._memory(1.0, n), n / self._memory(FAST, n)
        before = features - self.mean
        self.mean += fast * before.mean(0)
        self.covariance.lerp_(before.T @ (features - self.mean) / n, share)  # exact for moments of all (Welford)

    def state(self) -> dict[str, Tensor]:
        """What continues it."""
        return {"count": self.count, "mean": self.mean, "covariance": self.covariance}

    def load(self, state: dict[str, Tensor]) -> None:
        """Continues from `state`."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])

    def _memory(self, share: float, batch: int) -> float:
        """Of how many pictures the moments are, this batch included, which may be more than is to be remembered."""
        seen = float(self.count)
        return max(batch, min(seen, share * self.population)) if self.population else seen


@dataclass(frozen=True)
class Transport:
    """The shortest way from one normal distribution to another: x -> aim + (x - mean) @ way; `distance` is Frechet's."""

    aim: Tensor
    way: Tensor
    distance: Tensor

    @torch.no_grad()
    def ends(self, features: Tensor, mean: Tensor) -> Tensor:
        """Where features [N, F] should go: the mean of (features - ends)^2 has the gradient of the Frechet distance.

        `mean` [F] of the distribution they are from as it is now: a way finds it late, and what has moved since would go on.
        """
        return self.aim + (features - mean) @ self.way


class Target:
    """Moments that are the end of a way: their root is kept for as long as they stay as they are."""

    def __init__(self, moments: Moments) -> None:
        self.moments, self._of = moments, (-1.0, torch.empty(0))
        self._known = (torch.empty(0), torch.empty(0))

    def root(self, units: Tensor) -> tuple[Tensor, Tensor]:
        """Its covariance [F, F] in those units, float64, not singular, and the root of that."""
        count = float(self.moments.count)
        if self._of[0] != count or not torch.equal(self._of[1], units):
            covariance = _in_units(self.moments, units)
            covariance.diagonal().add_(RIDGE * covariance.diagonal().mean())
            values, vectors = torch.linalg.eigh(covariance)
            self._of, self._known = (count, units), (covariance, (vectors * values.clamp_min(0).sqrt()) @ vectors.T)
        return self._known


@torch.no_grad()
def transport(source: Moments, target: Target, scale: Tensor) -> Transport:
    """The way from `source` to `target`, computed in float64; `scale` [F]: how much each feature's unit counts."""
    units = scale.double()
    second, root = target.root(units)
    first = _in_units(source, units)
    first.diagonal().add_(RIDGE * second.diagonal().mean())
    values, vectors = torch.linalg.eigh(root @ first @ root)
    deviations = values.clamp_min(1e-12).sqrt()
    way = root @ (vectors / deviations) @ vectors.T @ root
    apart = ((source.mean - target.moments.mean) * units).square().sum()
    distance = apart + first.trace() + second.trace() - 2 * deviations.sum()
    in_own_units = way * units[:, None] / units
    return Transport(target.moments.mean.clone(), in_own_units.float(), distance.float())


def _in_units(moments: Moments, units: Tensor) -> Tensor:
    return moments.covariance.double() * units * units[:, None]
