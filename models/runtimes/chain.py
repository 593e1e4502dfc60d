"""All levels of a bundle in a row: flat latents in, finished pictures out, a few at a time. For tools and evidence."""

from collections.abc import Sequence

import numpy as np

from models.counting import counted
from models.manifest import Manifest
from models.mathematics.latents import Vector, cut
from models.runtimes.base import Array, Runtime, one_hot

BATCH = 16


def pictures_of(
    runtime: Runtime, manifest: Manifest, vectors: Vector, labels: Sequence[int | None] | None = None
) -> Array:
    """Pictures float32 [n, c, h, w] of latents [n, size]; `labels` are class indices for a conditional bundle."""
    made, starts = [], range(0, len(vectors), BATCH)
    for start in counted(starts, f"batches of {BATCH} pictures", len(starts)):
        group = slice(start, start + BATCH)
        own = labels[group] if labels is not None else [None] * len(vectors[group])
        made.append(_chain(runtime, manifest, vectors[group], own))
    image = manifest.image
    return np.concatenate(made) if made else np.zeros((0, image.channels, image.height, image.width), np.float32)


def _chain(runtime: Runtime, manifest: Manifest, vectors: Vector, labels: Sequence[int | None]) -> Array:
    row = one_hot(labels, len(manifest.labels)) if manifest.labels else None
    picture: Array | None = None
    for level, noise in enumerate(cut(manifest.latent, vectors)):
        picture = runtime.run_level(level, picture, noise, row if manifest.levels[level].label else None)
    assert picture is not None
    return picture
