"""Projection: a picture the generator made is found again, the same way every time."""

from pathlib import Path

import numpy as np
import pytest

from models.bundle import Bundle, read_bundle
from models.errors import RuntimeUnavailableError
from models.mathematics.latents import draw
from models.runtimes import open_runtime, projection
from models.runtimes.projection import CancelledError, Search, decibels, project

QUICK = Search(restarts=3, steps=60, candidates=64, polish=20)


def picture_of(bundle: Bundle, seed: int, label: np.ndarray | None = None) -> np.ndarray:
    runtime = open_runtime(bundle, "onnx")
    picture, start = None, 0
    for k, part in enumerate(bundle.manifest.latent.cuts):
        z = draw(bundle.manifest.latent, [seed])[:, start : start + part.size].reshape(1, *part.shape)
        picture, start = runtime.run_level(k, picture, z, label), start + part.size
    assert picture is not None
    return picture[0]


@pytest.mark.parametrize("name", ["tiny", "tiny-lapgan", "tiny-labels"])
def test_own_samples_are_found_again(bundle_folder: Path, name: str) -> None:
    """Of every kind of bundle: the found latent's picture is at least 30 dB near the one that was asked for."""
    bundle = read_bundle(bundle_folder / name)
    label = 1 if bundle.manifest.labels else None
    row = None if label is None else np.array([[0, 1, 0]], np.float32)
    for seed in (100_001, 100_002):
        found = project(bundle, picture_of(bundle, seed, row), QUICK, label=label)
        assert found.psnr_db >= 30
        assert found.vector.shape == (bundle.manifest.latent.size,)


def test_the_same_seed_finds_the_same_latent(tiny: Bundle) -> None:
    """Two searches with one seed agree bit for bit, and the picture reported is the latent's own."""
    target = picture_of(tiny, 100_003)
    first, second = project(tiny, target, QUICK), project(tiny, target, QUICK)
    np.testing.assert_array_equal(first.vector, second.vector)
    assert decibels(float(np.square(first.picture - target).mean())) == pytest.approx(first.psnr_db, abs=0.1)


def test_progress_and_cancellation(tiny: Bundle) -> None:
    """Progress shows a picture and never a worse distance; a search that is cancelled stops at once."""
    seen: list[tuple[int, float]] = []
    project(
        tiny,
        np.zeros((3, 16, 16), np.float32),
        QUICK,
        progress=lambda done, total, db, picture: seen.append((done, db)),
    )
    assert [db for _, db in seen] == sorted(db for _, db in seen)
    assert seen[0][0] == 0
    with pytest.raises(CancelledError):
        project(tiny, np.zeros((3, 16, 16), np.float32), QUICK, cancelled=lambda: True)


def test_without_torch_it_says_what_to_install(tiny: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without torch gets the sentence with the extra's name."""

    def absent() -> None:
        raise RuntimeUnavailableError("torch is not installed; install ganymede[train]")

    monkeypatch.setattr(projection, "import_torch", absent)
    with pytest.raises(RuntimeUnavailableError, match=r"ganymede\[train\]"):
        project(tiny, np.zeros((3, 16, 16), np.float32), QUICK)
