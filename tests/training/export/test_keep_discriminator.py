"""A generator that was trained on alone gets the discriminator of the bundle it began with, and that answers as before."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from models.bundle import Bundle, read_bundle
from models.runtimes import open_runtime
from models.runtimes.base import Array
from tests.training.conftest import trainers_in
from training.errors import ExportError
from training.export.bundle import export_run
from training.export.compact import compact
from training.export.keep_discriminator import export_with_discriminator, keep_discriminator
from training.export.sharing import Precision
from training.export.torchscript import pictures_to_discriminate
from training.run.run_folder import RunFolder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, picture_folder: Path) -> Path:
    """`former`; `lonely`, whose discriminator needs the label and is not exported; and `large`."""
    top = tmp_path_factory.mktemp("exported")
    wishes: dict[str, dict[str, object]] = {
        "former": {"run__seed": 3},
        "lonely": {"data__labels": "class", "discriminator__labels": "layers"},
        "large": {"data__size": 32},
    }
    for name, wish in wishes.items():
        run = trainers_in(top, picture_folder)(folder=f"run-{name}", run__steps=1, **wish)
        run.run()
        export_run(run.folder, top, name)
    return top


@pytest.fixture
def bundles(exported: Path, tmp_path: Path) -> dict[str, Bundle]:
    return {
        name: read_bundle(shutil.copytree(exported / name, tmp_path / name)) for name in ("former", "lonely", "large")
    }


def pictures(bundle: Bundle) -> Array:
    latents = np.random.RandomState(0).normal(size=(3, bundle.manifest.latent.size)).astype(np.float32)
    runtime = open_runtime(bundle)
    found = runtime.run_level(0, None, latents, np.eye(len(bundle.manifest.labels or ()), dtype=np.float32)[[0, 1, 0]])
    runtime.close()
    return found


def answers(bundle: Bundle) -> tuple[Array, Array]:
    runtime = open_runtime(bundle)
    found = runtime.discriminate(pictures_to_discriminate(bundle.manifest, 4))
    runtime.close()
    return found.logits, found.features


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_pictures_are_its_own_and_answers_those_of_before(bundles: dict[str, Bundle], precision: Precision) -> None:
    """To the bit, from weights that are stored once; the card says whose they are."""
    former, lonely = (compact(bundles[name].folder, precision).bundle for name in ("former", "lonely"))
    wanted, painted = answers(former), pictures(lonely)
    kept = keep_discriminator(lonely, former)
    assert kept.reference != lonely.reference
    assert all(map(np.array_equal, answers(kept), wanted))
    assert np.array_equal(pictures(kept), painted)
    assert kept.manifest.export_checks[-1].file == f"discriminator.onnx beside {former.reference}"
    assert "features a picture" in (kept.folder / "README.md").read_text()
    assert read_bundle(kept.folder).digest == kept.digest
    assert all(
        kept.path(file).stat().st_mode & 0o044 == 0o044 for file in kept.manifest.files
    )  # a server is another user


def test_a_bundle_is_replaced_by_one_with_its_discriminator(bundles: dict[str, Bundle], exported: Path) -> None:
    """The natural command: out to where the former bundle lies. Where it is refused, the former is still there."""
    former, run = bundles["former"], RunFolder(exported / "run-lonely")
    wanted, place = answers(former), former.folder.parent
    with pytest.raises(ExportError, match="has a discriminator of its own"):
        export_with_discriminator(RunFolder(exported / "run-former"), place, "former", None, "float32", former)
    assert read_bundle(former.folder).digest == former.digest
    kept = export_with_discriminator(run, place, "former", None, "float32", former)
    assert kept.folder == former.folder
    assert kept.manifest.labels
    assert all(map(np.array_equal, answers(kept), wanted))


def test_what_does_not_fit_is_refused(bundles: dict[str, Bundle]) -> None:
    """In a sentence, and the bundle stays as it was."""
    for name, other, why in (
        ("lonely", "lonely", "has no discriminator"),
        ("former", "former", "has a discriminator of its own"),
        ("lonely", "large", "of another size"),
    ):
        with pytest.raises(ExportError, match=why):
            keep_discriminator(bundles[name], bundles[other])
        assert read_bundle(bundles[name].folder).digest == bundles[name].digest
