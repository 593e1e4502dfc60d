"""Distances, precision/recall, density/coverage and nearest training neighbours in features of EfficientNet-lite2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from models.manifest import Score
from training.evaluate import copies, distances
from training.evaluate.material import Material
from training.pretrained import lite2
from training.run import samples as sheets

SHEET_ROWS = 32
COUNT = 2500  # samples, and as many real pictures: the distance falls with the number, so it is always the same


@dataclass(frozen=True)
class Reference:
    """Features [N, 1280] of real pictures and of as many others, whose distance is the floor; real pictures' neighbours."""

    real: Tensor
    other: Tensor
    neighbours: copies.Closest


def reference(material: Material) -> Reference:
    """Two sets of real pictures without a common one, in an order that only the seed decides."""
    data = material.test
    count = min(COUNT, len(material.fake), len(data) // 2)
    pictures = material.real(2 * count)
    found = lite2.features(pictures)
    near = copies.of_real(pictures, material.train, material.mirrored)
    return Reference(found[:count], found[count:], near)


def lite2_scores(material: Material, known: Reference | None = None, sheet: Path | None = None) -> Iterator[Score]:
    """All scores; `known` saves the real pictures' features where several bundles learned from one set.

    `sheet`: where to draw the samples nearest to a training picture, each beside it.
    """
    real = known or reference(material)
    fake = lite2.features(material.fake[: len(real.real)])
    protocol = (
        f"{lite2.identity()}; {len(fake)} samples, seeds from {material.plan.seed}, "
        f"{len(real.real)} real pictures, input {lite2.SIDE}x{lite2.SIDE}"
    )
    for name, value, remark in _compared(real, fake, material.plan.seed):
        yield Score(name=f"lite2_{name}", value=value, protocol=f"{protocol}; {remark}")
    ours = copies.of_samples(material.fake, material.train, material.mirrored)
    yield from _copies(ours, real.neighbours, len(material.train))
    if sheet is not None:
        sheets.save_grid(sheet, copies.sheet(material.fake, ours, SHEET_ROWS), 8)


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


def _copies(ours: copies.Closest, theirs: copies.Closest, known: int) -> Iterator[Score]:
    protocol = (
        f"{lite2.identity()}; {len(ours.distance)} samples and {len(theirs.distance)} real pictures, each with its "
        f"nearest of {known} training pictures among the {copies.NEAR} nearest at {copies.THUMBNAIL} pixels"
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
