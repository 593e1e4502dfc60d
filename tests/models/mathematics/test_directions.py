"""Directions: found where they were hidden, kept exactly, and free of the ones that are locked."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bundle import Bundle, read_bundle, write_manifest
from models.errors import BundleError
from models.manifest import Cut, Latent
from models.mathematics.directions import (
    FILE,
    Direction,
    by_regression,
    directions_to_bytes,
    orthogonal,
    principal_scores,
    read_directions,
)
from models.mathematics.latents import Vector, draw

PRIOR = Latent(distribution="standard_normal", size=20, cuts=(Cut(name="z", shape=(20,)),))


def row(*numbers: float) -> Vector:
    return np.array(numbers, np.float32)


def test_a_hidden_direction_is_found() -> None:
    """A score that is linear in the latent gives its direction back, one unit being one standard deviation."""
    z = draw(PRIOR, list(range(2000)))
    hidden = np.eye(20)[3] * 0.6 + np.eye(20)[7] * 0.8
    scores = (5 * z @ hidden + 2).astype(np.float32)
    found, share = by_regression(z, scores)
    assert share > 0.999
    np.testing.assert_allclose(found / np.linalg.norm(found), hidden, atol=1e-3)
    assert np.linalg.norm(found) * 5 == pytest.approx(scores.std(), rel=1e-2)


def test_half_of_a_score_is_half_explained_wherever_the_cloud_lies() -> None:
    """As much noise as signal: a share of one half; latents and scores moved as a whole change nothing."""
    z = draw(PRIOR, list(range(2000)))
    noise = np.random.RandomState(1).standard_normal(2000).astype(np.float32)
    found, share = by_regression(z, z[:, 2] + noise)
    assert share == pytest.approx(0.5, abs=0.05)
    assert found.argmax() == 2
    moved, same = by_regression((z + np.arange(20)).astype(np.float32), z[:, 2] + noise + 5)
    np.testing.assert_allclose(moved, found, atol=1e-4)
    assert same == pytest.approx(share, abs=1e-4)
    assert {found.dtype, by_regression(z, noise * 0)[0].dtype} == {np.dtype(np.float32)}


def test_a_score_that_says_nothing_stays_within_the_prior() -> None:
    """Noise is explained by nothing, and a unit of such a direction still does not leave the prior."""
    z = draw(PRIOR, list(range(2000)))
    noise = np.random.RandomState(1).standard_normal(2000).astype(np.float32)
    found, share = by_regression(z, noise)
    assert share < 0.05
    assert np.linalg.norm(found) <= np.sqrt(20) / 2 + 1e-5
    flat, nothing = by_regression(z, np.ones(2000, np.float32))
    assert (flat.tolist(), nothing) == ([0.0] * 20, 0.0)


def test_locked_directions_are_left_still() -> None:
    """What remains is at right angles to every locked direction, also where these lean on each other."""
    vectors = draw(PRIOR, [1, 2, 3])
    left = orthogonal(vectors[0], [vectors[1], vectors[2], vectors[1] + vectors[2]])
    np.testing.assert_allclose(vectors[1:] @ left, 0, atol=1e-4)
    assert np.linalg.norm(orthogonal(vectors[1], [vectors[1]])) < 1e-5
    assert left.dtype == np.float32
    np.testing.assert_array_equal(orthogonal(vectors[0], []), vectors[0])
    aside = orthogonal(row(3, 4, 5), [row(0, 1e-4, 0), row(0, 0, 7)])
    np.testing.assert_allclose(aside, [3, 0, 0], atol=1e-6)


def test_principal_components_come_in_order() -> None:
    """The first component explains most, and asking for one too many is refused."""
    rows = np.random.RandomState(0).standard_normal((200, 3)).astype(np.float32) * row(1, 9, 3)
    rows += row(4, -7, 1)
    scores, share = principal_scores(rows, 0)
    assert np.corrcoef(scores, rows[:, 1])[0, 1] > 0.99
    assert np.corrcoef(principal_scores(rows * row(1, -1, 1), 0)[0], -rows[:, 1])[0, 1] > 0.99
    assert scores.mean() == pytest.approx(0, abs=1e-4)
    assert scores.dtype == np.float32
    assert scores.std() == pytest.approx(rows[:, 1].std(), rel=0.02)
    assert share == pytest.approx(81 / 91, abs=0.03)
    assert share > principal_scores(rows, 1)[1] > principal_scores(rows, 2)[1]
    flat, nothing = principal_scores(np.ones((5, 3), np.float32), 0)
    assert (flat.tolist(), nothing) == ([0.0] * 5, 0.0)
    with pytest.raises(ValueError, match="3 components"):
        principal_scores(rows, 3)


@pytest.fixture
def own(tiny: Bundle, tmp_path: Path) -> Path:
    """A copy of the tiny bundle that a test may change."""
    return Path(shutil.copytree(tiny.folder, tmp_path / "own"))


def ship(folder: Path, data: bytes) -> Bundle:
    (folder / FILE).write_bytes(data)
    fields = read_manifest(folder)
    return write_manifest(folder, fields)


def read_manifest(folder: Path) -> dict[str, Any]:
    raw = json.loads((folder / "manifest.json").read_text())
    raw.pop("files")
    return raw


def test_directions_ship_with_a_bundle(own: Path) -> None:
    """What is written is read back bit for bit; a bundle without the file has none."""
    assert read_directions(read_bundle(own)) == {}
    vector = draw(Latent(distribution="uniform", size=8, cuts=(Cut(name="z", shape=(8,)),)), [1])[0]
    data = directions_to_bytes([Direction("smiling", vector, "learned", "one deviation", {"flips": 0.9})])
    wide = Direction("smiling", vector.astype(np.float64), "learned", "one deviation", {"flips": 0.9})
    assert directions_to_bytes([wide]) == data, "computed in float64, written in float32"
    assert data.decode() == json.dumps(json.loads(data), indent=2, sort_keys=True) + "\n", (
        "small changes are small diffs"
    )
    found = read_directions(ship(own, data))["smiling"]
    np.testing.assert_array_equal(found.vector, vector)
    assert (found.name, found.origin, found.unit) == ("smiling", "learned", "one deviation")
    assert (found.measured, found.vector.dtype) == ({"flips": 0.9}, np.dtype(np.float32))


def rows_of(count: int, **changes: object) -> bytes:
    row = {"name": "x", "data": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "origin": "learned", "unit": ""}
    return json.dumps({"format": "ganymede-directions", "version": 1, "directions": [row] * count} | changes).encode()


DAMAGED = [b"{}", b"[1]", b"{", b'{"format": "ganymede-directions", "version": 1}']
DAMAGED += [rows_of(1, version=2), rows_of(1, format="latents"), rows_of(1001), rows_of(1).replace(b"AAA=", b"A?AA=")]


@pytest.mark.parametrize("data", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_refused(own: Path, data: bytes) -> None:
    """A file that is no directions file is a clear error."""
    with pytest.raises(BundleError, match="directions"):
        read_directions(ship(own, data))


def test_a_direction_of_another_length_is_refused(own: Path) -> None:
    """A vector that does not fit the bundle's latent is refused."""
    data = directions_to_bytes([Direction("x", np.ones(7, np.float32), "learned", "")])
    holes = directions_to_bytes([Direction("x", np.full(8, np.nan, np.float32), "learned", "")])
    for refused in (data, holes):
        with pytest.raises(BundleError, match="8 finite"):
            read_directions(ship(own, refused))


def test_as_many_directions_as_are_allowed_are_read(own: Path) -> None:
    """A thousand, and no figures are needed."""
    found = read_directions(ship(own, rows_of(1000)))["x"]
    assert (found.vector.tolist(), found.measured) == ([0.0] * 8, {})
