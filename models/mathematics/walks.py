"""Ways through latent space as pure functions: walks through stops, and the neighbourhood of a point.

Walks: DCGAN paper, section 6.1. Neighbourhoods: its figure 7, uniform noise of scale 0.25 around the result.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from models.errors import LatentError
from models.manifest import Latent
from models.mathematics.latents import Vector, lerp, normalise, slerp

Method = Literal["slerp", "lerp"]
Detail = Literal["moving", "fixed"]


def default_method(prior: Latent) -> Method:
    """slerp for a normal prior, whose mass lies on a shell; lerp for a uniform one, whose mass fills a box."""
    return "slerp" if prior.distribution == "standard_normal" else "lerp"


def positions(stops: int, frames: int, loop: bool) -> list[tuple[int, float]]:
    """Where every frame stands: (stop it comes from, share 0..1 of the way to the next). Every stop is a frame.

    A loop goes back to the first stop and ends one step before it, so that it plays without a stutter.
    Raises LatentError when there are fewer frames than stops.
    """
    if frames < stops:
        raise LatentError(f"{frames} frames cannot pass through {stops} stops; ask for at least {stops}")
    legs = stops if loop else stops - 1
    if legs == 0:
        return [(0, 0.0)] * frames
    starts = [round(leg * (frames if loop else frames - 1) / legs) for leg in range(legs + 1)]
    found = [(leg, step / (b - a)) for leg, (a, b) in enumerate(pairwise(starts)) for step in range(b - a)]
    return found if loop else [*found, (stops - 1, 0.0)]


def walk(
    prior: Latent,
    stops: Sequence[Vector],
    frames: int,
    *,
    method: Method | None = None,
    loop: bool = False,
    detail: Detail = "moving",
) -> Vector:
    """Latents [frames, size] through the stops, each reached bit for bit.

    Every cut of the latent walks its own way. `detail: fixed` keeps all cuts but the first, the noise planes of a
    LAPGAN, as they are at the first stop: the picture changes and its fine texture does not flicker.
    Raises LatentError for fewer frames than stops.
    """
    between = slerp if (method or default_method(prior)) == "slerp" else lerp
    held = [_with_detail(prior, stop, stops[0]) if detail == "fixed" else stop for stop in stops]
    rows = np.empty((frames, prior.size), np.float32)
    for row, (leg, share) in zip(rows, positions(len(stops), frames, loop), strict=True):
        a, b = held[leg], held[(leg + 1) % len(held)]
        row[:] = a if share == 0 else np.concatenate([between(a[s], b[s], share) for s in slices(prior)])
    return rows


def slices(prior: Latent) -> list[slice]:
    """Where each cut lies in the flat latent."""
    ends = np.cumsum([0, *(part.size for part in prior.cuts)]).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]


def _with_detail(prior: Latent, vector: Vector, source: Vector) -> Vector:
    first = slices(prior)[0]
    return np.concatenate([vector[first], source[first.stop :]])


def neighbours(prior: Latent, centre: Vector, radius: float, count: int, seed: int, *, on_prior: bool) -> Vector:
    """Latents [count, size] around `centre` [size]: uniform noise of -radius..radius added, the same for one seed.

    `on_prior` brings each back to the prior's shell or box, as the centre was.
    """
    noise = np.random.RandomState(seed).uniform(-radius, radius, (count, prior.size))
    around = (centre.astype(np.float64) + noise).astype(np.float32)
    return np.stack([normalise(prior, row) for row in around]) if on_prior and count else around
