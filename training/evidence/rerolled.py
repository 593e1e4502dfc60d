"""What each level of a LAPGAN bundle adds: the coarse picture is frozen and one level's noise drawn again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.bundle import Bundle
from models.mathematics.latents import cut, draw
from models.runtimes import open_runtime
from models.runtimes.base import Array, one_hot
from training.run import samples

ROWS, REROLLS, SHOWN = 8, 6, 3
OTHER_SEEDS = 100  # the first seed of the noise that replaces a level's own


@dataclass(frozen=True)
class Movement:
    """How far a pixel of the finest picture moves when one level's noise is drawn again: standard deviation, of 255."""

    size: int
    levels_of_255: float


class Chain:
    """The pictures [N, C, s, s] that seeds 0 … N-1 make at every level of an exported bundle, classes in turn."""

    def __init__(self, bundle: Bundle, rows: int) -> None:
        self.bundle, self.rows, self.runtime = bundle, rows, open_runtime(bundle)
        classes = len(bundle.manifest.labels or ())
        self.label = one_hot([k % classes for k in range(rows)], classes) if classes else None
        self.noise = cut(bundle.manifest.latent, draw(bundle.manifest.latent, range(rows)))
        self.pictures = self._rise(0, None, self.noise)

    def rerolled(self, level: int, first_seed: int) -> Array:
        """The finest pictures when `level` gets the noise of other seeds and every other level keeps its own."""
        prior = self.bundle.manifest.latent
        fresh = cut(prior, draw(prior, range(first_seed, first_seed + self.rows)))
        noise = [fresh[k] if k == level else own for k, own in enumerate(self.noise)]
        return self._rise(level, self.pictures[level - 1], noise)[-1]

    def _rise(self, start: int, previous: Array | None, noise: list[Array]) -> list[Array]:
        pictures: list[Array] = []
        for level in range(start, len(noise)):
            previous = self.runtime.run_level(level, previous, noise[level], self.label)
            pictures.append(previous)
        return pictures


def reroll(bundle: Bundle, sheet: Path) -> list[Movement]:
    """Writes the sheet (a row a seed: each level's picture, then each finer level re-rolled) and measures movements."""
    chain = Chain(bundle, ROWS)
    finest = chain.pictures[-1].shape[2]
    columns, found = [_enlarged(picture, finest) for picture in chain.pictures], []
    for level in range(1, len(chain.noise)):
        again = [chain.rerolled(level, OTHER_SEEDS + ROWS * k) for k in range(REROLLS)]
        spread = float(np.stack(again).std(axis=0).mean() * 127.5)
        found.append(Movement(bundle.manifest.levels[level].output[0], spread))
        columns += again[:SHOWN]
    tiles = np.stack(columns, axis=1).reshape(-1, *columns[0].shape[1:])
    samples.save_grid(sheet, torch.from_numpy(np.clip(tiles, -1, 1)), len(columns))
    return found


def _enlarged(pictures: Array, side: int) -> Array:
    times = side // pictures.shape[2]
    return pictures.repeat(times, axis=2).repeat(times, axis=3)
