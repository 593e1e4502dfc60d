"""Square cut-outs of larger pictures at random places and scales: how an upsampler learns from photographs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from training.data.sources import Picture, find_pictures, split_off
from training.recipes.tables import DataTable

SEED = 0  # the choice is part of the data set, not of the run


def cutouts(table: DataTable) -> list[Picture]:
    """`table.cutouts` pictures of `table.size`, in equal shares from every set, each a function of its number."""
    random = np.random.Generator(np.random.Philox(SEED))
    sets = [find_pictures(Path(path), table.split) for path in (table.path, *table.more)]
    sets = [split_off(pictures, table.holdout)[0] for pictures in sets]
    sets = [pictures[: table.limit] if table.limit else pictures for pictures in sets]

    @lru_cache(maxsize=8)
    def whole(which: int, index: int) -> Image.Image:
        with sets[which][index].open() as image:
            return ImageOps.exif_transpose(image).convert("RGB")

    chosen = [(k % len(sets), int(random.integers(len(sets[k % len(sets)])))) for k in range(table.cutouts)]
    draws = random.uniform(size=(table.cutouts, 3))
    return [
        Picture(f"{sets[which][index].name}#{k}", partial(_cut, partial(whole, which, index), tuple(draws[k]), table))
        for k, (which, index) in sorted(enumerate(chosen), key=lambda item: item[1])  # each file is opened once
    ]


def _cut(whole: Callable[[], Image.Image], draws: tuple[float, ...], table: DataTable) -> Image.Image:
    """One cut-out: shrunk by the scale the first draw picks, cut where the others say."""
    picture, size = whole(), table.size
    short = min(picture.size)
    fitting = [scale for scale in table.cutout_scales if short / scale >= size] or [short / size]
    scale = fitting[int(draws[0] * len(fitting))]
    if scale != 1.0:
        smaller = (max(size, round(picture.width / scale)), max(size, round(picture.height / scale)))
        picture = picture.resize(smaller, Image.Resampling.LANCZOS)
    left, top = (int(draw * (side - size + 1)) for draw, side in zip(draws[1:], picture.size, strict=True))
    return picture.crop((left, top, left + size, top + size))
