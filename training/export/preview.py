"""Preview sheets of bundles: fixed seeds, drawn as a server draws them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from models.bundle import Bundle
from models.counting import counted
from models.mathematics import latents
from models.runtimes import open_runtime
from models.runtimes.base import Array, Runtime, one_hot
from training.algorithms.base import Algorithm
from training.run import samples
from training.run.snapshot import grid_pictures

COLUMNS = 8
PICTURES = 64
CONDITIONAL_ROW = 8  # pictures of each class
MAX_CLASSES = 16


def write_preview(bundle: Bundle, algorithm: Algorithm | None, path: Path) -> None:
    """The sheet of a bundle: seeds 0 … 63, or a row of 8 a class; an upsampler shows its training previews."""
    if bundle.manifest.samples:
        seeds, labels = preview_order(bundle)
        pictures = draw_pictures(bundle, seeds, labels)
        samples.save_grid(path, torch.from_numpy(pictures), COLUMNS)
    elif algorithm is not None:
        samples.save_grid(path, grid_pictures(algorithm).cpu(), COLUMNS)


def preview_order(bundle: Bundle, first_seed: int = 0) -> tuple[list[int], list[int | None]]:
    """Which seeds and labels a sheet shows, row by row."""
    classes = bundle.manifest.labels
    if not bundle.manifest.conditional or not classes:
        return latents.seed_range(first_seed, PICTURES), [None] * PICTURES
    shown = range(min(len(classes), MAX_CLASSES))
    seeds = latents.seed_range(first_seed, CONDITIONAL_ROW)
    return [seed for _ in shown for seed in seeds], [label for label in shown for _ in seeds]


def draw_pictures(bundle: Bundle, seeds: Sequence[int], labels: Sequence[int | None], batch: int = 16) -> Array:
    """Pictures [n, c, h, w] in [-1, 1] of seeds and labels through ONNX Runtime, level by level."""
    runtime = open_runtime(bundle, "onnx")
    starts = range(0, len(seeds), batch)
    pieces = [
        _chain(runtime, bundle, seeds[start : start + batch], labels[start : start + batch])
        for start in counted(starts, f"batches of {batch} samples", len(starts))
    ]
    runtime.close()
    return np.concatenate(pieces)


def _chain(runtime: Runtime, bundle: Bundle, seeds: Sequence[int], labels: Sequence[int | None]) -> Array:
    manifest = bundle.manifest
    noises = latents.cut(manifest.latent, latents.draw(manifest.latent, seeds))
    picture: Array | None = None
    for index, (level, noise) in enumerate(zip(manifest.levels, noises, strict=True)):
        label = one_hot(labels, len(manifest.labels or ())) if level.label else None
        picture = runtime.run_level(index, picture, noise, label)
    assert picture is not None
    return picture
