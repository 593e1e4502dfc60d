"""A bundle with a straightened latent space paints the pictures it painted, at the latents that were turned."""

import shutil
from pathlib import Path

import numpy as np
import openvino
import pytest
import torch
from typer.testing import CliRunner

from models.bundle import Bundle, read_bundle
from models.errors import RuntimeUnavailableError
from models.mathematics.directions import Direction, read_directions
from models.mathematics.latents import draw
from models.runtimes import open_runtime
from models.runtimes.chain import pictures_of
from models.runtimes.openvino_runtime import OpenVinoRuntime
from models.runtimes.projection import Graph
from tests.training.conftest import TrainerFactory, trainers_in
from training.classifiers.directions import ship
from training.cli.directions import app
from training.errors import ExportError
from training.export.bundle import export_run
from training.export.straight import straight, turns_of
from training.networks.straightening import Straightening


@pytest.fixture
def turns() -> Straightening:
    torch.manual_seed(0)
    found = Straightening(8, layers=2, hidden=16, pairs=2)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return found.requires_grad_(False)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, picture_folder: Path) -> dict[str, Bundle]:
    """One run exported by the precision of its weights; tests work on copies (`copy_of`)."""
    folder = tmp_path_factory.mktemp("kept")
    run = trainers_in(folder, picture_folder)(run__steps=1)
    run.run()
    return {kind: export_run(run.folder, folder / kind, "faces", weights=kind) for kind in ("float32", "float16")}


def copy_of(bundle: Bundle, folder: Path) -> Bundle:
    return read_bundle(shutil.copytree(bundle.folder, folder / "faces"))


def exported(trainer: TrainerFactory, folder: Path, **overrides: object) -> Bundle:
    run = trainer(run__steps=1, **overrides)
    run.run()
    return export_run(run.folder, folder, "faces", weights="float32")


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_same_pictures_at_other_latents(
    kept: dict[str, Bundle], tmp_path: Path, turns: Straightening, precision: str
) -> None:
    """At w the new bundle paints what the old one painted at z(w), alone as in a batch; projection can look through it."""
    old = copy_of(kept[precision], tmp_path)
    latents = draw(old.manifest.latent, range(12))
    before = open_runtime(old)
    wanted = pictures_of(before, old.manifest, turns(torch.from_numpy(latents)).numpy())
    others = pictures_of(before, old.manifest, latents)
    ship(old, [Direction("up", latents[0], "learned", "", {})])
    new = straight(read_bundle(tmp_path / "faces"), turns)
    assert new.digest != old.digest
    assert [cut.name for cut in new.manifest.latent.cuts] == ["w"]
    assert not read_directions(new)
    assert "attributes lie straight" in (new.folder / "README.md").read_text()
    runtime = open_runtime(new)
    given = pictures_of(runtime, new.manifest, latents)
    np.testing.assert_allclose(given, wanted, atol=1e-4 if precision == "float32" else 5e-3)
    assert np.abs(given - others).max() > 1e-2
    alone = np.concatenate([pictures_of(runtime, new.manifest, row[None]) for row in latents])
    np.testing.assert_allclose(alone, given, atol=1e-5)
    again = turns_of(new)
    assert again is not None
    np.testing.assert_allclose(again(torch.from_numpy(latents)), turns(torch.from_numpy(latents)), atol=0.05)
    np.testing.assert_allclose(Graph(new, None, 1)(torch.from_numpy(latents)), given, atol=1e-4)


def test_a_generator_that_was_trained_on_keeps_its_latents(
    kept: dict[str, Bundle], tmp_path: Path, turns: Straightening
) -> None:
    """`--like` gives it the turns of the bundle it began from: a seed is where it was."""
    begun, later = copy_of(kept["float32"], tmp_path / "first"), copy_of(kept["float32"], tmp_path / "later")
    first = straight(begun, turns)
    straighten = ["directions", "straighten", str(later.folder)]
    assert CliRunner().invoke(app, straighten).exit_code == 2
    refused = CliRunner().invoke(app, [*straighten, "--like", str(later.folder)])
    assert "has no straight latents" in refused.output
    assert read_bundle(later.folder).digest == later.digest
    assert CliRunner().invoke(app, [*straighten, "--like", str(first.folder)]).exit_code == 0
    latents = draw(first.manifest.latent, range(4))
    one, other = (
        pictures_of(open_runtime(found), found.manifest, latents) for found in (first, read_bundle(later.folder))
    )
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_of_a_pyramid_the_base_is_turned(trainer: TrainerFactory, tmp_path: Path, turns: Straightening) -> None:
    """The noise of the finer levels stays where it is."""
    pyramid = {"recipe": "lapgan-modern", "data__labels": "none", "pyramid__sizes": "[8, 16]"}
    old = exported(trainer, tmp_path, **pyramid)
    latents = draw(old.manifest.latent, range(6))
    behind = np.concatenate([turns(torch.from_numpy(latents[:, :8])).numpy(), latents[:, 8:]], 1)
    wanted = pictures_of(open_runtime(old), old.manifest, behind)
    new = straight(old, turns)
    np.testing.assert_allclose(pictures_of(open_runtime(new), new.manifest, latents), wanted, atol=1e-4)


def test_latents_that_are_not_normal_are_refused(trainer: TrainerFactory, tmp_path: Path, turns: Straightening) -> None:
    """A sentence, and the bundle as it was: turned, a box would be no box."""
    boxed = exported(trainer, tmp_path, latent__distribution="uniform")
    with pytest.raises(ExportError, match="standard normal distribution"):
        straight(boxed, turns)
    assert read_bundle(boxed.folder).digest == boxed.digest


def test_what_is_straight_is_refused(kept: dict[str, Bundle], tmp_path: Path, turns: Straightening) -> None:
    """Turns are put there once."""
    new = straight(copy_of(kept["float32"], tmp_path), turns)
    with pytest.raises(ExportError, match="straight latents already"):
        straight(new, turns)


def test_bfloat16_leaves_the_turns_alone(kept: dict[str, Bundle], tmp_path: Path, turns: Straightening) -> None:
    """The fast runtime is as near to the exact one as without turns; a processor that has no bfloat16 says so."""
    old = copy_of(kept["float32"], tmp_path)
    latents = draw(old.manifest.latent, range(32))

    def difference(bundle: Bundle) -> float:
        exact, fast = open_runtime(bundle), OpenVinoRuntime(bundle, precision="bf16")
        given = [pictures_of(runtime, bundle.manifest, latents) for runtime in (exact, fast)]
        return float(np.abs(given[0] - given[1]).max())

    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(RuntimeUnavailableError, match="bfloat16"):
            difference(old)
        return
    before = difference(old)
    assert before > 0
    assert difference(straight(old, turns)) < 2 * before
