"""Distances, precision/recall, density/coverage and nearest training neighbours in features of EfficientNet-lite2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from models.manifest import Score
from training.data.dataset import Dataset
from training.evaluate import copies, distances, lite2
from training.evaluate.material import Material

COUNT = 2500  # samples, and as many real pictures: the distance falls with the number, so it is always the same


@dataclass(frozen=True)
class Reference:
    """Features [N, 1280] of real pictures, and of other real pictures, as many: their distance is the floor."""

    real: Tensor
    other: Tensor


def reference(data: Dataset, samples: int, seed: int = 0) -> Reference:
    """Two sets of real pictures without a common one, in an order that only the seed decides."""
    count = min(COUNT, samples, len(data) // 2)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    found = lite2.features(data.batch(order[: 2 * count]).pictures)
    return Reference(found[:count], found[count:])


def lite2_scores(material: Material, known: Reference | None = None) -> Iterator[Score]:
    """All scores; `known` saves the real pictures' features where several bundles learned from one set."""
    real = known or reference(material.test, len(material.fake), material.plan.seed)
    fake = lite2.features(material.fake[: len(real.real)])
    protocol = (
        f"{lite2.identity()}; {len(fake)} samples, seeds from {material.plan.seed}, "
        f"{len(real.real)} real pictures, input {lite2.SIDE}x{lite2.SIDE}"
    )
    for name, value, remark in _compared(real, fake, material.plan.seed):
        yield Score(name=f"lite2_{name}", value=value, protocol=f"{protocol}; {remark}")
    yield from _copies(material)


def _compared(real: Reference, fake: Tensor, seed: int) -> Iterator[tuple[str, float, str]]:
    yield "frechet", distances.frechet(real.real, fake), "0: equal; compare with lite2_frechet_floor"
    yield "frechet_floor", distances.frechet(real.real, real.other), "real pictures against as many other real ones"
    kernel, spread = distances.kernel(real.real, fake, seed=seed)
    yield "kernel", kernel, f"50 subsets, standard deviation {spread:.5f}"
    precision, recall = distances.precision_recall(real.real, fake)
    yield "precision", precision, "k=3"
    yield "recall", recall, "k=3"
    density, coverage = distances.density_coverage(real.real, fake)
    yield "density", density, "k=5; 1: as dense as real pictures"
    yield "coverage", coverage, "k=5"


def _copies(material: Material) -> Iterator[Score]:
    ours, theirs = copies.compare(material.fake, material.real(copies.CHECKED), material.train, material.mirrored)
    protocol = (
        f"{lite2.identity()}; {len(ours.distance)} samples and {len(theirs.distance)} real pictures, each with its "
        f"nearest of {len(material.train)} training pictures among the {copies.NEAR} nearest at {copies.THUMBNAIL} pixels"
    )
    ratio = float(ours.distance.median() / theirs.distance.median())
    yield Score(name="lite2_neighbour_ratio", value=ratio, protocol=f"{protocol}; medians; far below 1: copies")
    share = copies.suspicious(ours, theirs)
    yield Score(
        name="lite2_copies",
        value=share,
        protocol=f"{protocol}; share of samples nearer than the nearest {copies.PERCENT} % of real pictures are; "
        f"{copies.PERCENT / 100}: no more than real ones",
    )
