"""What a run looks like: grids of fixed seeds, and how different the pictures are from each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

COLLAPSE_AFTER_PICTURES = 30_000  # a young generator paints the same grey for everyone
COLLAPSE_RATIO = 0.35  # of the real set's diversity; below it a run is called collapsed


def seed_latents(seeds: range, size: int, distribution: str) -> Tensor:
    """[len(seeds), size] float32: the latents these seeds have when served."""
    rows = []
    for seed in seeds:
        state = np.random.RandomState(seed)
        drawn = state.uniform(-1.0, 1.0, size) if distribution == "uniform" else state.standard_normal(size)
        rows.append(drawn.astype(np.float32))
    return torch.from_numpy(np.stack(rows))


def grid_labels(count: int, classes: int, columns: int) -> Tensor | None:
    """One-hot [count, K] with one class per row of the grid, or None without classes."""
    if not classes:
        return None
    return torch.nn.functional.one_hot(torch.arange(count) // columns % classes, classes).float()


def to_uint8(pictures: Tensor) -> np.ndarray:
    """[N, C, H, W] in [-1, 1] -> [N, H, W, C] uint8, rounded as the service rounds."""
    scaled = ((pictures.float().clamp(-1, 1) + 1.0) * 127.5).round()
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def save_grid(path: Path, pictures: Tensor, columns: int, gap: int = 1) -> None:
    """Writes the pictures row by row as one, atomically: a PNG, or a WebP of a fifth of its size where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, kind = path.with_suffix(".partial"), "WEBP" if path.suffix == ".webp" else "PNG"
    grid(pictures, columns, gap).save(partial, format=kind, quality=90)
    partial.replace(path)


def grid(pictures: Tensor, columns: int, gap: int = 1) -> Image.Image:
    """The pictures [N, C, H, W] row by row as one, with black lines between."""
    tiles = to_uint8(pictures)
    count, height, width, channels = tiles.shape
    rows = -(-count // columns)
    sheet = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return Image.fromarray(sheet.squeeze(2) if channels == 1 else sheet)


def diversity(pictures: Tensor) -> float:
    """Mean distance between two of the pictures (root mean square over pixels); 0 when all are the same."""
    flat = pictures.float().flatten(1)
    distances = torch.pdist(flat) / flat.shape[1] ** 0.5
    return float(distances.mean())
