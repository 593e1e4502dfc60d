"""From a run to a bundle: what is written is what was trained, or nothing is written."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from typer.testing import CliRunner

from models.bundle import Bundle, read_bundle
from models.manifest import Score
from models.mathematics import latents
from models.runtimes import open_runtime
from models.runtimes.base import one_hot
from tests.training.pictures import tiny_overrides
from training.cli.main import app
from training.data.dataset import load_dataset
from training.errors import ExportError
from training.export import bundle as exporting
from training.export.bundle import export_run, open_run
from training.export.card import card
from training.export.rescore import rescore
from training.recipes.resolve import resolve
from training.run import run_folder
from training.run.loop import Trainer
from training.run.run_folder import RunFolder


@pytest.fixture(scope="module")
def run(picture_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished tiny run, label-conditional, with spectral norm."""
    more = {"run__steps": 2, "discriminator__spectral_norm": True, "data__name": "Discs and bars"}
    wish = resolve("dcgan-modern", tiny_overrides(picture_folder, **more))
    folder = run_folder.at(tmp_path_factory.mktemp("runs") / "shapes", wish)
    Trainer(wish, load_dataset(wish.data)[0], folder).run()
    return folder


@pytest.fixture(scope="module")
def shapes(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The run, exported once."""
    return export_run(run, tmp_path_factory.mktemp("out"), "tiny-shapes")


def test_pictures_that_are_not_square(picture_folder: Path, tmp_path: Path) -> None:
    """Height 24 and width 40, trained, exported, reopened: served at that size."""
    options = tiny_overrides(picture_folder, run__steps=2, data__size="24x40", data__labels="none")
    wish = resolve("dcgan-modern", options)
    folder = run_folder.at(tmp_path / "run", wish)
    Trainer(wish, load_dataset(wish.data)[0], folder).run()
    bundle = export_run(folder, tmp_path / "out", "wide")
    assert (bundle.manifest.image.height, bundle.manifest.image.width) == (24, 40)
    vectors = latents.draw(bundle.manifest.latent, [7])
    assert open_runtime(bundle, "onnx").run_level(0, None, vectors, None).shape == (1, 3, 24, 40)


class Off(nn.Module):
    """A network whose trace is not what it computes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        return self.network(noise, label) + (0.01 if torch.jit.is_tracing() else 0.0)  # type: ignore[attr-defined]


def test_a_bundle_paints_what_the_network_paints(run: RunFolder, shapes: Bundle) -> None:
    """The reopened bundle, seed by seed, is the averaged generator; manifest, weights and card are complete."""
    bundle = shapes
    source = open_run(run)
    vectors = latents.draw(bundle.manifest.latent, [5, 6])
    label = one_hot([0, 1], 2)
    expected = source.algorithm.sample(torch.from_numpy(vectors), torch.from_numpy(label)).numpy()
    for kind in ("onnx", "torchscript"):
        given = open_runtime(bundle, kind).run_level(0, None, vectors, label)
        assert np.abs(given - expected).max() < 1e-4
    assert bundle.manifest.labels == ("bar", "disc")
    assert {check.file for check in bundle.manifest.export_checks} == {
        "level-0.onnx", "level-0.ts", "discriminator.onnx", "discriminator.ts", "samples through level-0.onnx",
    }  # fmt: skip
    assert (bundle.manifest.provenance.steps, bundle.manifest.provenance.images_seen) == (2, 16)
    assert bundle.manifest.provenance.recipe["discriminator"]["spectral_norm"] is True
    assert "level-0.project.layer.linear.weight" in load_file(bundle.path("weights.safetensors"))
    told = bundle.path("README.md").read_text()
    assert told.startswith("---\nlicense:")
    assert "Discs and bars" in told
    assert Image.open(bundle.path("preview.png")).size == (135, 33)


def test_a_bundle_names_what_it_began_from_and_no_folder(run: RunFolder, tmp_path: Path) -> None:
    """Where the first weights lay on this machine is nobody's business; their name is."""
    source = open_run(run)
    own = source.trained.recipe
    table = own.run.model_copy(update={"init_from": str(tmp_path / "first-try")})
    judged = own.matching.model_copy(update={"networks": (0,), "attributes": str(tmp_path / "attributes.safetensors")})
    begun = own.model_copy(update={"run": table, "matching": judged})
    source = dataclasses.replace(source, trained=dataclasses.replace(source.trained, recipe=begun))
    bundle = exporting.export(source, tmp_path / "bundles", "b")
    assert bundle.manifest.provenance.recipe["run"]["init_from"] == "first-try"
    assert bundle.manifest.provenance.recipe["matching"]["attributes"] == "attributes.safetensors"
    told = bundle.path("README.md").read_text()
    assert "begun with the generator of first-try" in told
    assert "were made linear in their latents" in told


def test_a_card_says_where_no_discriminator_was(shapes: Bundle) -> None:
    """Pictures of a run by moments of features were shown to none."""
    facts = shapes.manifest.provenance
    assert "real pictures shown to the discriminator" in card(shapes.manifest)
    matched = facts.model_copy(update={"recipe": {**facts.recipe, "matching": {"networks": [0]}}})
    told = card(shapes.manifest.model_copy(update={"provenance": matched}))
    assert "the moments of whose features" in told
    assert "shown to the discriminator" not in told


def test_the_discriminator_judges_each_picture_alone(shapes: Bundle) -> None:
    """Logits [n, 1] and features, the same in company."""
    runtime = open_runtime(shapes)
    images = np.random.RandomState(0).uniform(-1, 1, (3, 3, 16, 16)).astype(np.float32)
    together, alone = runtime.discriminate(images), runtime.discriminate(images[1:2])
    assert together.logits.shape == (3, 1)
    assert np.allclose(together.features[1:2], alone.features, atol=1e-6)


def test_a_file_that_differs_is_not_published(
    run: RunFolder, shapes: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old bundle stays, no half-written folder is left, the message names the file."""
    shutil.copytree(shapes.folder, tmp_path / "b")
    source = open_run(run)
    level = source.algorithm.export_levels()[0]
    wrong = [dataclasses.replace(level, module=Off(level.module).eval())]
    monkeypatch.setattr(source.algorithm, "export_levels", lambda: wrong)
    with pytest.raises(ExportError, match=r"level-0\.ts by 0\.01"):
        exporting.export(source, tmp_path, "b")
    assert read_bundle(tmp_path / "b").digest == shapes.digest
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_scores_join_a_finished_bundle(shapes: Bundle, tmp_path: Path) -> None:
    """A measured score appears in manifest and card; measuring again replaces it; nothing else changes."""
    shutil.copytree(shapes.folder, tmp_path / "b")
    before = shapes.manifest
    rescore(tmp_path / "b", [Score(name="label_agreement", value=0.5, protocol="once")])
    after = rescore(tmp_path / "b", [Score(name="label_agreement", value=0.75, protocol="twice")])
    assert [(score.value, score.protocol) for score in after.manifest.scores] == [(0.75, "twice")]
    assert "0.75" in after.path("README.md").read_text()
    assert after.manifest.files["level-0.onnx"] == before.files["level-0.onnx"]
    assert after.manifest.export_checks == before.export_checks


def test_the_commands_do_the_same(run: RunFolder, tmp_path: Path, picture_folder: Path) -> None:
    """export, preview of run and bundle, dataset check, dry run, and errors as sentences with exit code 1."""
    cli = CliRunner()

    def call(*arguments: object, code: int = 0) -> str:
        result = cli.invoke(app, [str(a) for a in arguments])
        assert result.exit_code == code, result.output
        return result.output

    assert "level-0.onnx: differs" in call("export", run.path, "--out", tmp_path / "x", "--name", "mine")
    for source in (run.path, tmp_path / "x" / "mine"):
        call("preview", source, "--out", tmp_path / "p.png")
        assert Image.open(tmp_path / "p.png").size[0] > 100
    assert "classes: bar 24, disc 24" in call("dataset", "check", picture_folder, "--size", 16)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_bytes(b"nothing")
    assert "x.png" in call("dataset", "check", tmp_path / "bad", code=1)
    assert "steps = 123" in call("train", "dcgan-torch", "run.steps=123", "--dry-run")
    assert "run.steps" in call("train", "dcgan-torch", "run.step=1", code=1)
    assert "not a run folder" in call("export", tmp_path, code=1)
    assert json.loads(run.facts_file.read_text())["pictures"] == 48
