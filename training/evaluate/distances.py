"""How far apart two sets of features are: Frechet, kernel and class scores by torchmetrics, precision and recall.

torchmetrics takes longer to import than torch (it brings scipy's signals and statistics), so only what measures imports it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

BLOCK = 1000  # rows of a distance matrix held at once


class Given(nn.Module):
    """Features that are already computed, handed to torchmetrics as if it had extracted them."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.num_features = size

    def forward(self, features: Tensor) -> Tensor:
        """[N, F] -> the same."""
        return features


def class_score(logits: Tensor, splits: int = 10, seed: int = 0) -> tuple[float, float]:
    """exp E KL(p(y|x) || p(y)) over `splits` parts: mean and standard deviation (Salimans et al. 2016, section 4)."""
    from torchmetrics.image.inception import InceptionScore

    metric = InceptionScore(feature=Given(logits.shape[1]), splits=splits)
    metric.update(logits[torch.randperm(len(logits), generator=torch.Generator().manual_seed(seed))])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # torchmetrics shuffles once more by torch's own stream
        mean, spread = metric.compute()
    return float(mean), float(spread)


def frechet(real: Tensor, fake: Tensor) -> float:
    """|mu - mu'|^2 + tr(C + C' - 2 (C C')^1/2) of features [N, F] (Heusel et al. 2017); biased upward for small N."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=Given(real.shape[1])).set_dtype(torch.float64)
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    return float(metric.compute())


def kernel(real: Tensor, fake: Tensor, subsets: int = 50, seed: int = 0) -> tuple[float, float]:
    """Unbiased squared MMD with the cubic kernel over subsets of up to 1,000 (Binkowski et al. 2018): mean, spread."""
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(1000, len(real), len(fake))
    metric = KernelInceptionDistance(feature=Given(real.shape[1]), subsets=subsets, subset_size=size)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, spread = metric.compute()
    return float(mean), float(spread)


def precision_recall(real: Tensor, fake: Tensor, neighbours: int = 3) -> tuple[float, float]:
    """Share of samples inside the real manifold, and the other way round (Kynkaanniemi et al. 2019, k = 3)."""
    return _inside(fake, real, neighbours), _inside(real, fake, neighbours)


def density_coverage(real: Tensor, fake: Tensor, neighbours: int = 5) -> tuple[float, float]:
    """How many real balls hold a sample, in units of k (1: as dense as real ones), and the share of balls that hold any.

    Naeem et al. 2020, k = 5: unlike precision and recall, one far outlier among the real pictures decides nothing.
    """
    radii = _radii(real, neighbours)
    inside = torch.zeros(len(real))
    for part in torch.split(fake, BLOCK):
        inside += (torch.cdist(part, real) < radii).sum(0)
    return float(inside.sum()) / (neighbours * len(fake)), float((inside > 0).float().mean())


def _radii(points: Tensor, neighbours: int) -> Tensor:
    """Distance of each point [N, F] to its k-th neighbour; the point itself is its own first and not counted."""
    parts = torch.split(points, BLOCK)
    return torch.cat([torch.cdist(part, points).kthvalue(neighbours + 1, 1).values for part in parts])


def _inside(points: Tensor, manifold: Tensor, neighbours: int) -> float:
    """Share of points within the radius (distance to the k-th neighbour) of any point of the manifold."""
    radii = _radii(manifold, neighbours)
    covered = [(torch.cdist(part, manifold) <= radii).any(1) for part in torch.split(points, BLOCK)]
    return float(torch.cat(covered).float().mean())
