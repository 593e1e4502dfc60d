"""The pictures of the arithmetic evidence: equations, directions, walks, a turn vector."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.mathematics.directions import Direction, principal_scores
from models.mathematics.latents import Vector, draw, mean, normalise
from models.mathematics.walks import neighbours, walk
from models.runtimes.base import to_pixels
from service.images.encode import encode
from service.images.equation import Column, draw_equation
from service.images.png import Pixels
from service.images.sheet import contact_sheet
from training.classifiers.directions import Lens

NAMES = ("man with glasses", "man", "woman")
RANGE = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)


class Sheets:
    """Draws into one folder."""

    def __init__(self, lens: Lens, folder: Path) -> None:
        self._lens, self._folder = lens, folder
        self._prior = lens.bundle.manifest.latent
        folder.mkdir(parents=True, exist_ok=True)

    def pixels(self, latents: Vector) -> list[Pixels]:
        """Pictures uint8 [h, w, c] of latents [n, size]."""
        return list(to_pixels(self._lens.pictures(latents)))

    def equation(self, name: str, seeds: Sequence[Sequence[int]], result: Vector) -> None:
        """Exemplars over means, signs, and the 3x3 of the result."""
        columns = []
        for sign, part, caption in zip("+−+", seeds, NAMES, strict=True):
            rows = draw(self._prior, part)
            own = normalise(self._prior, mean(list(rows)))
            *exemplars, middle = self.pixels(np.concatenate([rows, own[None]]))
            columns.append(Column(sign, "", tuple(exemplars), middle, caption))
        near = neighbours(self._prior, result, 0.25, 8, 0, on_prior=True)
        nine = self.pixels(np.concatenate([near[:4], result[None], near[4:]]))
        side = (nine[0].shape[0], nine[0].shape[1])
        self._write(name, draw_equation(columns, contact_sheet(nine, 3), side, "result and neighbours"))

    def directions(self, name: str, directions: Sequence[Direction], seeds: Sequence[int]) -> None:
        """A row for every seed and direction, a column for every strength."""
        rows = []
        for latent in draw(self._prior, list(seeds)):
            for direction in directions:
                rows += [normalise(self._prior, latent + t * direction.vector) for t in RANGE]
        self._write(name, contact_sheet(self.pixels(np.stack(rows)), len(RANGE)))

    def walk(self, name: str, seeds: Sequence[int]) -> None:
        """Eight frames a leg, a leg a row."""
        stops = [normalise(self._prior, row) for row in draw(self._prior, list(seeds))]
        frames = walk(self._prior, stops, 8 * (len(stops) - 1), method="slerp")
        self._write(name, contact_sheet(self.pixels(frames), 8))

    def turn(self, name: str, latents: Vector) -> float:
        """Mean of four extremes to mean of four others along the strongest left-right difference; its share of variance."""
        pictures = self._lens.pictures(latents)
        halves = (pictures - pictures[:, :, :, ::-1])[..., : pictures.shape[3] // 2]
        coarse = halves.reshape(len(halves), halves.shape[1], halves.shape[2] // 4, 4, -1, 4).mean((3, 5))
        scores, share = principal_scores(coarse.reshape(len(coarse), -1), 0)
        order = np.argsort(scores)
        left, right = (normalise(self._prior, latents[part].mean(0)) for part in (order[:4], order[-4:]))
        vector = latents[order[-4:]].mean(0) - latents[order[:4]].mean(0)
        rows = [walk(self._prior, [left, right], len(RANGE))]
        for latent in draw(self._prior, range(3)):
            rows.append(np.stack([normalise(self._prior, latent + t / 3 * vector) for t in RANGE]))
        self._write(name, contact_sheet(self.pixels(np.concatenate(rows)), len(RANGE)))
        return share

    def _write(self, name: str, pixels: Pixels) -> None:
        (self._folder / name).write_bytes(encode(pixels, "webp"))
