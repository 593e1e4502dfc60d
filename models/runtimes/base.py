"""The seam between a bundle and what computes it: one file a format implements it, the engine knows only this."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Pixels = NDArray[np.uint8]
CACHED_VALUES = 1 << 18
"""Values that are made pixels at a time: a megabyte as float32, so that the next pass finds them in the cache."""


@dataclass(frozen=True)
class DiscriminatorOutput:
    """What a discriminator says of a batch: raw logits [n, 1 or K] and features [n, feature_size]."""

    logits: Array
    features: Array


class Runtime(Protocol):
    """An opened bundle. Calls are not thread-safe; an engine keeps a runtime in one thread."""

    provider: str
    """The execution provider in use, e.g. `CPUExecutionProvider`; part of every answer."""

    def run_level(self, level: int, previous: Array | None, noise: Array | None, label: Array | None) -> Array:
        """One level: previous [n, c, h, w] or None, noise [n, *cut], one-hot label [n, k] or None -> [n, c, H, W]."""

    def discriminate(self, images: Array, label: Array | None = None) -> DiscriminatorOutput:
        """The discriminator on images float32 [n, c, h, w] in -1..1. Raises RuntimeUnavailableError without one."""

    def close(self) -> None:
        """Give memory back; the runtime cannot be used afterwards."""


def one_hot(labels: Sequence[int | None], count: int) -> Array:
    """One-hot rows [n, count] of label indices; a row of zeros for None."""
    rows = np.zeros((len(labels), count), np.float32)
    for row, label in zip(rows, labels, strict=True):
        if label is not None:
            row[label] = 1.0
    return rows


def to_pixels(images: Array) -> Pixels:
    """float32 [n, c, h, w] in -1..1 to uint8 [n, h, w, c]: round((x + 1) * 127.5), clipped; the only rounding."""
    count, channels, height, width = images.shape
    pixels = np.empty((count, height, width, channels), np.uint8)
    step = max(1, CACHED_VALUES // max(1, channels * height * width))
    for start in range(0, count, step):
        _round(images[start : start + step], pixels[start : start + step])
    return pixels


def _round(images: Array, pixels: Pixels) -> None:
    scaled = images + np.float32(1.0)
    scaled *= np.float32(127.5)
    np.rint(scaled, out=scaled)
    if scaled.size and (scaled.max() > 255 or scaled.min() < 0):  # looking costs half of clipping
        np.clip(scaled, 0, 255, out=scaled)
    planes = scaled.astype(np.uint8)
    for channel in range(images.shape[1]):  # a third of what one strided copy of all of them takes
        pixels[..., channel] = planes[:, channel]


def from_pixels(pixels: Pixels) -> Array:
    """uint8 [n, h, w, c] to float32 [n, c, h, w] in -1..1: `to_pixels` takes it back exactly."""
    scaled = pixels.astype(np.float32).transpose(0, 3, 1, 2) / np.float32(127.5) - np.float32(1.0)
    return np.ascontiguousarray(scaled)
