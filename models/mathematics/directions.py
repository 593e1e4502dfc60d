"""Named directions that ship with a bundle: `directions.json`, listed in the manifest's files like any other.

    {"format": "ganymede-directions", "version": 1, "directions": [
        {"name": "smiling", "data": "<base64 of little-endian float32 [size]>", "origin": "learned",
         "unit": "...", "measured": {"flips": 0.93, ...}}]}

Adding 1.0 of a direction to a latent moves the attribute by its `unit`, which is a sentence for people.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.errors import BundleError
from models.mathematics.latents import Vector

FILE = "directions.json"
FORMAT, VERSION = "ganymede-directions", 1
MAX_DIRECTIONS = 1000


@dataclass(frozen=True)
class Direction:
    """One direction: vector [size], how it was found, what one unit of it means, and measured figures."""

    name: str
    vector: Vector
    origin: str
    unit: str
    measured: dict[str, Any] = field(default_factory=dict)


def read_directions(bundle: Bundle) -> dict[str, Direction]:
    """The directions of a bundle, by name; empty when it ships none. Raises BundleError for a file that is off."""
    data = bundle.read(FILE)
    if data is None:
        return {}
    try:
        return _parse(json.loads(data), bundle.manifest.latent.size)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise BundleError(f"{FILE} is not a directions file: {error}") from None


def _parse(raw: Any, size: int) -> dict[str, Direction]:
    if raw["format"] != FORMAT or raw["version"] != VERSION or len(raw["directions"]) > MAX_DIRECTIONS:
        raise ValueError("unknown format or version")
    return {str(row["name"]): _direction(row, size) for row in raw["directions"]}


def _direction(row: dict[str, Any], size: int) -> Direction:
    vector = np.frombuffer(base64.b64decode(row["data"], validate=True), "<f4").astype(np.float32)
    if vector.shape != (size,) or not np.isfinite(vector).all():
        raise ValueError(f"{row['name']!r} is not {size} finite numbers")
    return Direction(str(row["name"]), vector, str(row["origin"]), str(row["unit"]), dict(row.get("measured", {})))


def directions_to_bytes(directions: Sequence[Direction]) -> bytes:
    """The file's text: sorted keys, two-space indent, a final newline."""
    rows = [
        {
            "name": d.name,
            "data": base64.b64encode(np.ascontiguousarray(d.vector, "<f4").tobytes()).decode(),
            "origin": d.origin,
            "unit": d.unit,
            "measured": d.measured,
        }
        for d in directions
    ]
    body = {"format": FORMAT, "version": VERSION, "directions": rows}
    return (json.dumps(body, indent=2, sort_keys=True) + "\n").encode()


def orthogonal(vector: Vector, locked: Sequence[Vector]) -> Vector:
    """`vector` without what it shares with the directions in `locked`: moving along it leaves them still.

    Projects onto the orthogonal complement of their span, in float64.
    """
    if not locked:
        return vector
    basis, singular, _ = np.linalg.svd(np.stack(locked).astype(np.float64).T, full_matrices=False)
    basis = basis[:, singular > 1e-9 * singular.max()]
    wide = vector.astype(np.float64)
    return np.asarray(wide - basis @ (basis.T @ wide), np.float32)


def _centred(rows: Vector) -> NDArray[np.float64]:
    wide = rows.astype(np.float64)
    centred: NDArray[np.float64] = wide - wide.mean(0)
    return centred


def by_regression(latents: Vector, scores: Vector) -> tuple[Vector, float]:
    """The direction along which `scores` [n] of `latents` [n, size] rise fastest, and the share of variance it explains.

    Ridge regression in float64. One unit raises the linear score by one standard deviation of the scores; where the
    score is hardly linear that would leave the prior, so the step is at most half the prior's radius, sqrt(size) / 2.
    """
    z, s = _centred(latents), _centred(scores)
    gram = z.T @ z
    weights = np.linalg.solve(gram + 1e-3 * np.trace(gram) / len(gram) * np.eye(len(gram)), z.T @ s)
    deviation, slope = float(s.std()), float(np.linalg.norm(weights))
    if slope == 0 or deviation == 0:
        return np.zeros(latents.shape[1], np.float32), 0.0
    explained = 1.0 - float(np.square(s - z @ weights).sum() / np.square(s).sum())
    step = min(deviation / slope, np.sqrt(latents.shape[1]) / 2)
    return np.asarray(weights / slope * step, np.float32), explained


def principal_scores(features: Vector, component: int) -> tuple[Vector, float]:
    """Each row's coordinate [n] on one principal component of `features` [n, f], and that component's share of variance.

    The sign is fixed: the feature that counts most counts positively. Raises ValueError beyond the last component.
    """
    left, singular, right = np.linalg.svd(_centred(features), full_matrices=False)
    if component >= len(singular):
        raise ValueError(f"there are {len(singular)} components")
    sign = np.sign(right[component, np.abs(right[component]).argmax()]) or 1.0
    share = float(singular[component] ** 2 / max(np.square(singular).sum(), 1e-30))
    return np.asarray(sign * left[:, component] * singular[component], np.float32), share
