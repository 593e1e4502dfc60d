"""A sheet of sixteen pictures, four a row, as a PNG."""

from pathlib import Path

import numpy as np
from PIL import Image

from models.runtimes.base import Array, to_pixels

COLUMNS = 4
PICTURES = 16


def write_sheet(path: Path, pictures: Array) -> None:
    """Write pictures float32 [n, c, h, w] in -1..1 side by side; at most sixteen."""
    pixels = to_pixels(np.ascontiguousarray(pictures[:PICTURES]))
    rows = [pixels[k : k + COLUMNS] for k in range(0, len(pixels), COLUMNS)]
    full = [row for row in rows if len(row) == COLUMNS] or rows[:1]
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in full], axis=0)
    Image.fromarray(sheet.squeeze(2) if sheet.shape[2] == 1 else sheet).save(path)
