"""How far one runtime's pictures are from another's, as a bound that holds for pictures nobody looked at, too."""

import math
from dataclasses import dataclass

import numpy as np

from models.manifest import Manifest
from models.runtimes.base import Array, Runtime, to_pixels
from models.runtimes.trial import LEVELS, SEEDS, picture_chains

MARGIN = 2.5
"""A bound is so many times what the worst of the measured pictures showed: `fashion32` differed by 3 steps in them, by 6 in 3,000
others (docs/experiments.md). It is measured, not proved."""

LEAST_MEAN = 0.01
"""Stated of whoever differs at all: where no measured pixel rounded to another step, one of another seed may."""


@dataclass(frozen=True)
class Difference:
    """Bounds in steps of 255: of any channel of any pixel, and of the mean over one picture. Measured on `seeds` pictures."""

    largest: int
    mean: float
    seeds: int = SEEDS


NONE = Difference(0, 0.0)
"""Of a runtime to itself."""


def difference_of(runtime: Runtime, exact: Runtime, manifest: Manifest) -> Difference:
    """Both draw the same seeds, every level going on from the runtime's own pictures; all levels are compared."""
    largest = mean = 0.0
    for ours, theirs in zip(picture_chains(runtime, manifest), picture_chains(exact, manifest), strict=True):
        for level, other in zip(ours, theirs, strict=True):
            largest = max(largest, float(np.abs(np.clip(level, -1, 1) - np.clip(other, -1, 1)).max()) * LEVELS)
            mean = max(mean, _mean_steps(level, other))
    if largest == 0:
        return NONE
    # Before rounding they differ by `largest`: no pixel is then further away than its whole steps and one.
    return Difference(math.floor(MARGIN * largest) + 1, max(LEAST_MEAN, math.ceil(MARGIN * mean * 100) / 100))


def _mean_steps(ours: Array, theirs: Array) -> float:
    """Of the picture that differs most."""
    steps = np.abs(to_pixels(ours).astype(np.int16) - to_pixels(theirs))
    return float(steps.mean(axis=(1, 2, 3)).max())
