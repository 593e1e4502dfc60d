"""Contact sheets: several pictures in one, row by row."""

import math
from collections.abc import Sequence

import numpy as np

from service.images.png import Pixels

GAP = 2
PAPER = 255


def columns_of(count: int, wished: int | None) -> int:
    """Columns of a sheet of `count` pictures when `wished` were asked for; else of the squarest."""
    return min(count, wished or math.ceil(math.sqrt(count)))


def contact_sheet(pictures: Sequence[Pixels], columns: int | None = None) -> Pixels:
    """One uint8 picture [H, W, c] with all pictures on white paper, 2 pixels apart; sizes may differ, cells are the largest."""
    columns = columns_of(len(pictures), columns)
    rows = math.ceil(len(pictures) / columns)
    height, width = (max(p.shape[axis] for p in pictures) for axis in (0, 1))
    channels = max(p.shape[2] for p in pictures)
    sheet = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, channels), PAPER, np.uint8)
    for k, picture in enumerate(pictures):
        top, left = (k // columns) * (height + GAP), (k % columns) * (width + GAP)
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = _with_channels(picture, channels)
    return sheet


def _with_channels(picture: Pixels, channels: int) -> Pixels:
    if picture.shape[2] == channels:
        return picture
    if channels == 4:
        colour = picture if picture.shape[2] == 3 else np.repeat(picture, 3, axis=2)
        return np.concatenate([colour, np.full_like(picture[:, :, :1], 255)], axis=2)
    return np.repeat(picture, channels, axis=2)
