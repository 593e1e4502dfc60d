"""Latents as pure functions: draw from a seed, cut for the levels, combine, bring back to the prior, walk.

A latent is one flat float32 vector [size]; a batch of them is [n, size]. No function here keeps state that
changes a result: the reused random generator is reseeded for every draw.
"""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.errors import LatentError
from models.manifest import Distribution, Latent

SEED_COUNT = 1 << 32
Vector = NDArray[np.float32]

_local = threading.local()


def draw(prior: Latent, seeds: Sequence[int]) -> Vector:
    """Latents [n, size] of the seeds: `numpy.random.RandomState(seed)` drawing the whole vector in order.

    A frozen stream: the same numbers on every machine and NumPy version.
    Raises LatentError for a seed outside 0..2**32-1.
    """
    rows = np.empty((len(seeds), prior.size), np.float32)
    for row, seed in zip(rows, seeds, strict=True):
        row[:] = stream(prior.distribution, seed, prior.size)
    return rows


def stream(distribution: Distribution, seed: int, size: int) -> NDArray[np.float64]:
    """The first `size` numbers of a seed's stream, float64, before rounding to float32."""
    if not 0 <= seed < SEED_COUNT:
        raise LatentError(f"seed {seed} is outside 0..{SEED_COUNT - 1}")
    state = _generator()
    state.seed(seed)
    if distribution == "uniform":
        return state.uniform(-1.0, 1.0, size)
    return state.standard_normal(size)


class PlaneStream:
    """Noise planes of one seed, one after the other from one stream: what an any-size level is given.

    Drawn in pieces, so that a plane of many megapixels costs its float32 size and no more.
    """

    PIECE = 1 << 18

    def __init__(self, distribution: Distribution, seed: int) -> None:
        if not 0 <= seed < SEED_COUNT:
            raise LatentError(f"seed {seed} is outside 0..{SEED_COUNT - 1}")
        self._distribution = distribution
        self._state = np.random.RandomState(seed)

    def plane(self, height: int, width: int) -> Vector:
        """The next height*width numbers as float32 [1, height, width]."""
        flat = np.empty(height * width, np.float32)
        for start in range(0, flat.size, self.PIECE):
            flat[start : start + self.PIECE] = self._draw(min(self.PIECE, flat.size - start))
        return flat.reshape(1, height, width)

    def skip(self, height: int, width: int) -> None:
        """Pass over a plane."""
        for start in range(0, height * width, self.PIECE):
            self._draw(min(self.PIECE, height * width - start))

    def _draw(self, count: int) -> NDArray[np.float64]:
        if self._distribution == "uniform":
            return self._state.uniform(-1.0, 1.0, count)
        return self._state.standard_normal(count)


def _generator() -> np.random.RandomState:
    """One generator a thread: making a fresh one costs about 100 us, reseeding it about 4 us."""
    state = getattr(_local, "state", None)
    if state is None:
        state = _local.state = np.random.RandomState()
    return state


def seed_range(seed: int, count: int) -> list[int]:
    """Seeds s, s+1, ..., s+count-1, modulo 2**32."""
    return [(seed + k) % SEED_COUNT for k in range(count)]


def cut(prior: Latent, vectors: Vector) -> list[Vector]:
    """Cut a batch [n, size] into one array [n, *shape] a level, as views."""
    pieces, start = [], 0
    for part in prior.cuts:
        pieces.append(vectors[:, start : start + part.size].reshape(len(vectors), *part.shape))
        start += part.size
    return pieces


def join(pieces: Sequence[Vector]) -> Vector:
    """The inverse of `cut`: pieces [n, *shape] back to flat latents [n, size]."""
    return np.concatenate([piece.reshape(len(piece), -1) for piece in pieces], axis=1)


def check(prior: Latent, values: Sequence[float] | NDArray[np.floating]) -> Vector:
    """One latent from untrusted numbers. Raises LatentError for a wrong length or a value that is not finite."""
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite and is refused below
        vector = np.asarray(values, np.float32)
    if vector.shape != (prior.size,):
        raise LatentError(f"the latent has {vector.size} values, the model takes {prior.size}")
    if not np.isfinite(vector).all():
        raise LatentError("every value of a latent must be a finite float32")
    return vector


def combine(vectors: Sequence[Vector], weights: Sequence[float]) -> Vector:
    """The weighted sum of latents, in float64, rounded once at the end."""
    total = np.zeros(vectors[0].shape, np.float64)
    for vector, weight in zip(vectors, weights, strict=True):
        total += weight * vector.astype(np.float64)
    return total.astype(np.float32)


def mean(vectors: Sequence[Vector]) -> Vector:
    """The mean of latents: the exemplar average of the DCGAN paper, section 6.3.2."""
    return combine(vectors, [1.0 / len(vectors)] * len(vectors))


def truncate(vectors: Vector, truncation: float) -> Vector:
    """Pull latents toward the prior's centre: z * truncation, 0 gives the centre, 1 leaves them."""
    return vectors if truncation == 1.0 else (vectors * np.float32(truncation)).astype(np.float32)


def normalise(prior: Latent, vector: Vector) -> Vector:
    """Bring a latent back to where the prior's mass is, cut by cut.

    Normal prior: onto the shell of radius sqrt(size), where a high-dimensional normal lives.
    Uniform prior: into the box -1..1.
    """
    if prior.distribution == "uniform":
        return np.asarray(np.clip(vector, -1.0, 1.0), np.float32)
    result, start = vector.astype(np.float64), 0
    for part in prior.cuts:
        piece = result[start : start + part.size]
        length = float(np.linalg.norm(piece))
        if length > 0:
            piece *= np.sqrt(part.size) / length
        start += part.size
    return result.astype(np.float32)


def lerp(a: Vector, b: Vector, t: float) -> Vector:
    """The straight line: a at t=0, b at t=1."""
    return ((1.0 - t) * a.astype(np.float64) + t * b.astype(np.float64)).astype(np.float32)


def slerp(a: Vector, b: Vector, t: float) -> Vector:
    """The great-circle arc from a to b with lengths interpolated; falls back to `lerp` for (anti)parallel ends."""
    from64, to64 = a.astype(np.float64), b.astype(np.float64)
    length_a, length_b = float(np.linalg.norm(from64)), float(np.linalg.norm(to64))
    if length_a == 0 or length_b == 0:
        return lerp(a, b, t)
    unit_a, unit_b = from64 / length_a, to64 / length_b
    angle = float(np.arccos(np.clip(unit_a @ unit_b, -1.0, 1.0)))
    if angle < 1e-6 or np.pi - angle < 1e-6:
        return lerp(a, b, t)
    direction = (np.sin((1 - t) * angle) * unit_a + np.sin(t * angle) * unit_b) / np.sin(angle)
    return np.asarray(direction * ((1 - t) * length_a + t * length_b), np.float32)
