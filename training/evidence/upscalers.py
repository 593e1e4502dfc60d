"""Ways of enlarging pictures, side by side: nearest, bicubic, and bundles through ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from models.bundle import Bundle
from models.mathematics.latents import PlaneStream, cut, draw
from models.mathematics.pyramid import faithful
from models.runtimes import open_runtime
from models.runtimes.base import Array, from_pixels, to_pixels

Upscaler = Callable[[Array], Array]
"""Pictures float32 [n, 3, s, s] in -1..1 to [n, 3, S, S]."""


def plain(side: int, method: Image.Resampling) -> Upscaler:
    """Pillow's resize of 8-bit pictures."""

    def enlarge(images: Array) -> Array:
        large = [Image.fromarray(pixels).resize((side, side), method) for pixels in to_pixels(images)]
        return from_pixels(np.stack([np.asarray(picture) for picture in large]))

    return enlarge


def bundle_upscaler(bundle: Bundle, times: int, *, noise: float = 1.0, exact: bool = False) -> Upscaler:
    """`times` levels of a bundle, entered where the pictures fit; picture k has seed k. `exact`: faithful every level."""
    runtime, manifest = open_runtime(bundle), bundle.manifest

    def enlarge(images: Array) -> Array:
        any_size = manifest.levels[0].factor is not None
        side = images.shape[2]
        entry = 0 if any_size else next(k for k, level in enumerate(manifest.levels) if level.previous == (side, side))
        streams = [PlaneStream(manifest.latent.distribution, seed) for seed in range(len(images))]
        for step in range(times):
            level = 0 if any_size else entry + step
            if any_size:
                planes = np.stack([stream.plane(2 * images.shape[2], 2 * images.shape[3]) for stream in streams])
            else:
                planes = cut(manifest.latent, draw(manifest.latent, range(len(images))))[level]
            label = None
            if manifest.levels[level].label:
                label = np.zeros((len(images), len(manifest.labels or ())), np.float32)
            made = runtime.run_level(level, images, np.ascontiguousarray(planes * np.float32(noise)), label)
            images = faithful(made, images) if exact else made
        return np.clip(images, -1, 1)

    return enlarge
