"""The latent whose picture is nearest to a given one, where no gradient can be had: without torch, or with a graph it cannot run.

Levenberg and Marquardt's method with derivatives by finite differences: a step costs one picture for each number of the
latent, and few steps are needed near a picture that the generator can make.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.errors import RuntimeUnavailableError
from models.mathematics.latents import Vector, draw
from models.runtimes import open_runtime
from models.runtimes.base import Array, Runtime
from models.runtimes.chain import BATCH, pictures_of
from models.runtimes.projection import CancelledError, Progress, Projection, Search, decibels, project

LARGEST_LATENT = 1024
"""A step computes so many pictures; longer latents would take minutes a step."""
MOST_VALUES = 50_000_000
"""Numbers in the matrix of derivatives; larger pictures are averaged down first."""
STEP = 0.02
"""How far a number of the latent is moved for its derivative."""
STARTS, STEPS, TRIES = 3, 14, 5


def project_somehow(
    bundle: Bundle,
    target: Array,
    search: Search,
    *,
    label: int | None = None,
    threads: int = 1,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Projection:
    """`projection.project`, or by differences where that cannot run. Raises RuntimeUnavailableError when neither can."""
    try:
        return project(bundle, target, search, label=label, threads=threads, progress=progress, cancelled=cancelled)
    except RuntimeUnavailableError as error:
        if bundle.manifest.latent.size > LARGEST_LATENT:
            raise RuntimeUnavailableError(f"{error}; without, latents of up to {LARGEST_LATENT} numbers") from None
    runtime = open_runtime(bundle, threads=threads)
    try:
        return Differences(runtime, bundle, target, search, label, progress, cancelled).run()
    finally:
        runtime.close()


class Differences:
    """One search for `target` float32 [c, h, w] in -1..1; the same seed gives the same latent on the same machine."""

    def __init__(
        self,
        runtime: Runtime,
        bundle: Bundle,
        target: Array,
        search: Search,
        label: int | None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._runtime, self._manifest, self._label = runtime, bundle.manifest, label
        self._target, self._search = target[None], search
        self._progress, self._cancelled = progress, cancelled
        self._best = (float("inf"), np.zeros(bundle.manifest.latent.size, np.float32))
        self._done = 0

    def run(self) -> Projection:
        """Draw many, go down from the nearest few, and say how near the nearest is."""
        for start in self._starts():
            self._descend(start)
            if decibels(self._best[0]) >= self._search.good_enough_db:
                break
        error, vector = self._best
        return Projection(vector, self._pictures(vector[None])[0], decibels(error), float(np.sqrt(error)), self._done)

    def _starts(self) -> Vector:
        seeds = [(self._search.seed + k) % (1 << 32) for k in range(self._search.candidates)]
        drawn = draw(self._manifest.latent, seeds)
        groups = (self._pictures(drawn[k : k + BATCH]) for k in range(0, len(drawn), BATCH))
        errors = [self._error(picture[None]) for group in groups for picture in group]
        return drawn[np.argsort(errors, kind="stable")[: min(STARTS, self._search.restarts)]]

    def _descend(self, vector: Vector) -> None:
        """Steps with more damping after a bad one and less after a good one; ends when none is better."""
        damping, picture = 0.01, self._pictures(vector[None])
        error = self._error(picture)
        for _ in range(STEPS):
            slopes, rest = self._slopes(vector, picture)
            for _ in range(TRIES):
                tried = self._inside(np.asarray(vector + _step(slopes, rest, damping), np.float32))
                made = self._pictures(tried[None])
                if self._error(made) < error:
                    break
                damping *= 4
            else:
                return
            gain, vector, picture, error = error - self._error(made), tried, made, self._error(made)
            damping /= 4
            self._remember(vector, picture, error)
            if gain < 1e-3 * error or decibels(error) >= self._search.good_enough_db:
                return

    def _slopes(self, vector: Vector, picture: Array) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Derivatives [size, values] of the picture by each number of the latent, and what is missing [values]."""
        moved = np.repeat(vector[None], len(vector), 0)
        moved[np.diag_indices(len(vector))] += STEP
        times = self._reduction(len(vector))
        before = _averaged(picture, times)
        rows = (_averaged(self._pictures(moved), times) - before) / STEP
        return rows.reshape(len(vector), -1), (_averaged(self._target, times) - before).reshape(-1)

    def _reduction(self, size: int) -> int:
        side = 1
        while size * self._target.size // side**2 > MOST_VALUES and min(self._target.shape[2:]) % (2 * side) == 0:
            side *= 2
        return side

    def _inside(self, vector: Vector) -> Vector:
        return np.clip(vector, -1, 1) if self._manifest.latent.distribution == "uniform" else vector

    def _pictures(self, vectors: Vector) -> Array:
        if self._cancelled():
            raise CancelledError("the search was cancelled")
        return pictures_of(self._runtime, self._manifest, vectors, [self._label] * len(vectors))

    def _error(self, picture: Array) -> float:
        return float(np.square(picture - self._target, dtype=np.float64).mean())

    def _remember(self, vector: Vector, picture: Array, error: float) -> None:
        self._done += 1
        if error < self._best[0]:
            self._best = (error, vector)
        if self._progress is not None:
            self._progress(self._done, STARTS * STEPS, decibels(self._best[0]), picture[0])


def _step(slopes: NDArray[np.float32], rest: NDArray[np.float32], damping: float) -> NDArray[np.float64]:
    wide = slopes.astype(np.float64)
    square = wide @ wide.T
    scale = np.diag(np.diag(square) + 1e-6 * np.trace(square) / len(square) + 1e-12)
    return np.asarray(np.linalg.solve(square + damping * scale, wide @ rest))


def _averaged(pictures: Array, times: int) -> Array:
    count, channels, height, width = pictures.shape
    if times == 1:
        return pictures
    cells = pictures.reshape(count, channels, height // times, times, width // times, times)
    return np.asarray(cells.mean((3, 5)), np.float32)
