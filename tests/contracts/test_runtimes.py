"""One contract for every runtime: shapes, ranges, independence of company; they agree."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models.bundle import read_bundle
from models.mathematics.latents import cut, draw
from models.runtimes import RuntimeKind, open_runtime
from models.runtimes.base import Array, Runtime, from_pixels, one_hot, to_pixels
from models.runtimes.invariance import FREE, bucket_for

KINDS = pytest.mark.parametrize("kind", ["onnx", "openvino", "torchscript", "fake"])
NAMES = ["tiny", "tiny-labels", "tiny-lapgan"]


@pytest.fixture(autouse=True)
def _installed(request: pytest.FixtureRequest) -> None:
    """OpenVINO is an extra: without it its cases are skipped."""
    if "openvino" in getattr(request.node, "callspec", SimpleNamespace(params={})).params.values():
        pytest.importorskip("openvino")


def pictures(runtime: Runtime, folder: Path, seeds: list[int]) -> Array:
    """All levels of a bundle for some seeds."""
    manifest = read_bundle(folder).manifest
    label = one_hot([s % len(manifest.labels) for s in seeds], len(manifest.labels)) if manifest.labels else None
    picture = None
    for level, noise in enumerate(cut(manifest.latent, draw(manifest.latent, seeds))):
        wanted = label if manifest.levels[level].label else None
        picture = runtime.run_level(level, picture, np.ascontiguousarray(noise), wanted)
    assert picture is not None
    return picture


@KINDS
@pytest.mark.parametrize("name", NAMES)
def test_a_picture_does_not_depend_on_company(bundle_folder: Path, kind: RuntimeKind, name: str) -> None:
    """The same seed alone and in a batch: the same bytes once they are pixels, the same floats where no bucket is needed."""
    folder = bundle_folder / name
    runtime = open_runtime(read_bundle(folder), kind)
    together = pictures(runtime, folder, list(range(13)))
    manifest = read_bundle(folder).manifest
    assert together.shape == (13, 3, manifest.image.height, manifest.image.width)
    assert together.dtype == np.float32
    for k in (0, 5, 12):
        assert np.array_equal(to_pixels(pictures(runtime, folder, [k]))[0], to_pixels(together)[k])
    runtime.close()


@pytest.mark.parametrize("other", ["torchscript", "openvino"])
@pytest.mark.parametrize("name", NAMES)
def test_runtimes_agree(bundle_folder: Path, name: str, other: RuntimeKind) -> None:
    """With ONNX Runtime, within one of 255 levels on 200 seeds, and 1e-4 in floats."""
    folder = bundle_folder / name
    seeds = list(range(200))
    kinds: tuple[RuntimeKind, ...] = ("onnx", other)
    onnx, theirs = (pictures(open_runtime(read_bundle(folder), kind), folder, seeds) for kind in kinds)
    assert np.abs(onnx - theirs).max() <= 1e-4
    assert np.abs(to_pixels(onnx).astype(int) - to_pixels(theirs).astype(int)).max() <= 1


@KINDS
def test_discriminators(bundle_folder: Path, kind: RuntimeKind) -> None:
    """The discriminator's logits and features of one picture are the same whoever stands beside it."""
    bundle = read_bundle(bundle_folder / "tiny")
    runtime = open_runtime(bundle, kind)
    images = pictures(runtime, bundle_folder / "tiny", [1, 2, 3])
    together, alone = runtime.discriminate(images), runtime.discriminate(images[1:2])
    assert together.logits.shape == (3, 1)
    assert together.features.shape == (3, 8)
    assert np.allclose(together.features[1], alone.features[0], atol=1e-6)


@KINDS
@pytest.mark.parametrize("name", NAMES)
def test_the_probe_knows_each_level(bundle_folder: Path, kind: RuntimeKind, name: str) -> None:
    """The probe answers FREE or a bucket for every level."""
    bundle = read_bundle(bundle_folder / name)
    runtime = open_runtime(bundle, kind)
    for level in range(len(bundle.manifest.levels)):
        assert bucket_for(runtime, bundle.manifest, level, 16) in {FREE, 1, 16}


class Mixing:
    """A runtime whose last bit depends on the batch size, as a matrix product may."""

    provider = "mixing"

    def __init__(self, inner: Runtime, per_slot: bool) -> None:
        self._inner, self._per_slot = inner, per_slot

    def run_level(self, level: int, previous: Array | None, noise: Array | None, label: Array | None) -> Array:
        pictures = self._inner.run_level(level, previous, noise, label).copy()
        pictures += np.float32(1e-6) * len(pictures)
        if self._per_slot:
            pictures += np.arange(len(pictures), dtype=np.float32)[:, None, None, None] * np.float32(1e-6)
        return pictures


@pytest.mark.parametrize(("per_slot", "bucket"), [(False, 16), (True, 1)])
def test_the_probe_finds_what_depends_on_company(bundle_folder: Path, per_slot: bool, bucket: int) -> None:
    """A level that depends on the batch size gets a fixed bucket; one that depends on the slot is run alone."""
    bundle = read_bundle(bundle_folder / "tiny")
    mixing = Mixing(open_runtime(bundle, "onnx"), per_slot)
    assert bucket_for(mixing, bundle.manifest, 0, 16) == bucket  # type: ignore[arg-type]


def test_pixels_survive_a_round_trip() -> None:
    """uint8 to float and back is the identity."""
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    assert np.array_equal(to_pixels(from_pixels(pixels)), pixels)


def test_pixels_do_not_depend_on_company() -> None:
    """A picture among many, which are rounded a part at a time, is the picture alone, values outside -1..1 included."""
    images = np.random.RandomState(0).uniform(-1.2, 1.2, (50, 3, 64, 64)).astype(np.float32)
    together = to_pixels(images)
    assert all(np.array_equal(together[k], to_pixels(images[k : k + 1])[0]) for k in range(len(images)))
    assert {together.min(), together.max()} == {0, 255}
    assert to_pixels(images[:0]).shape == (0, 64, 64, 3)
