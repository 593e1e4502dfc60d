"""Photographs that no shipped bundle learnt from: six small files of free licence in `tests/data/photos`."""

import numpy as np
from PIL import Image

from models.runtimes.base import Array, from_pixels
from tests.conftest import ROOT

FOLDER = ROOT / "tests" / "data" / "photos"
NAMES = ("cat", "palace", "dahlia", "coffee", "astronaut")
SIDE = 160


def photographs(side: int) -> Array:
    """The middle squares of five photographs, float32 [5, 3, side, side] in -1..1; `side` at most 160."""
    edge = (SIDE - side) // 2
    return from_pixels(np.stack([_open(name)[edge : edge + side, edge : edge + side] for name in NAMES]))


def small_photographs(side: int = 64) -> list[np.ndarray]:
    """Twenty-five pictures uint8 [side, side, 3]: each photograph whole, and its four corners at half its scale."""
    small = [Image.fromarray(_open(name)) for name in NAMES]
    half = SIDE // 2
    boxes = [(0, 0, SIDE, SIDE), *((x, y, x + half, y + half) for x in (0, half) for y in (0, half))]
    shrink = Image.Resampling.LANCZOS
    return [np.asarray(image.crop(box).resize((side, side), shrink)) for image in small for box in boxes]


def face() -> Array:
    """A face as the shipped sets of faces crop it, float32 [1, 3, 64, 64]."""
    image = Image.fromarray(_open("face")).crop((6, 6, 74, 74)).resize((64, 64), Image.Resampling.LANCZOS)
    return from_pixels(np.asarray(image)[None])


def thing() -> Array:
    """One of the ten kinds of things of CIFAR, a cat, float32 [1, 3, 32, 32]."""
    return from_pixels(np.asarray(Image.fromarray(_open("cat")).resize((32, 32), Image.Resampling.LANCZOS))[None])


def _open(name: str) -> np.ndarray:
    with Image.open(FOLDER / f"{name}.webp") as image:
        return np.asarray(image.convert("RGB"))
