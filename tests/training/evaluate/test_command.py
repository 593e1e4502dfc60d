"""`ganymede evaluate` from end to end: a semi-supervised bundle, a stand-in for Inception, figures kept in three places."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from models.bundle import Bundle, read_bundle
from tests.training.algorithms.test_two_player import make, move
from tests.training.conftest import TrainerFactory
from tests.training.evaluate.test_suite import StandIn
from training.cli.main import app
from training.compute.randomness import StepRandom
from training.export.bundle import Source, export
from training.export.provenance import Trained


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A tiny K+1 classifier and its generator, moved twice and exported."""
    algorithm, pictures = make("ssl")
    move(algorithm, pictures, range(2))
    algorithm.refresh_statistics(StepRandom(0, 2))
    return export(Source(algorithm, Trained(algorithm.recipe, 2, 16)), tmp_path / "bundles", "small")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Grey pictures in the folders a, b and c."""
    random = np.random.RandomState(0)
    for name in "abc":
        (tmp_path / "data" / name).mkdir(parents=True)
        for k in range(20):
            Image.fromarray(random.randint(0, 256, (12, 12)).astype(np.uint8)).save(tmp_path / f"data/{name}/{k}.png")
    return tmp_path / "data"


def test_scores_are_printed_stored_and_carried_by_the_bundle(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    """Another Inception's scores are named custom_*; each figure is in scores.jsonl, manifest and card, with its protocol."""
    inception = tmp_path / "stand-in.pt"
    torch.jit.trace(StandIn(), torch.zeros(2, 3, 12, 12, dtype=torch.uint8)).save(str(inception))
    wish = ["evaluate", bundle.folder, "--data", data, "--inception", inception, "--samples", 40, "--save"]
    result = CliRunner().invoke(app, [str(word) for word in [*wish, "--out", tmp_path / "out"]])
    assert result.exit_code == 0, result.output
    stored = [json.loads(line) for line in (tmp_path / "out" / "scores.jsonl").read_text().splitlines()]
    names = {score["name"] for score in stored}
    assert names <= set(result.output.split())
    assert {"custom_score", "custom_frechet", "custom_kid", "nn_two_sample", "test_error"} <= names
    assert not names & {"IS", "FID", "KID"}
    assert {score["bundle"] for score in stored} == {bundle.reference}
    after = read_bundle(bundle.folder)
    carried = {score.name: score for score in after.manifest.scores}
    assert carried.keys() == names
    assert "Inception file sha256" in carried["custom_frechet"].protocol
    assert "60 real test pictures, 6 labels" in carried["test_error"].protocol
    assert "custom_frechet" in after.path("README.md").read_text()
    assert after.manifest.files["level-0.onnx"] == bundle.manifest.files["level-0.onnx"]
    assert (tmp_path / "out" / "small-neighbours.png").is_file()


def test_a_run_folder_is_scored_as_what_it_exports_to(
    trainer: TrainerFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checkpoint's step is in the reference's bundle, nothing is left in the run folder, and --save is refused."""
    monkeypatch.setattr("training.pretrained.lite2.available", lambda: False)
    run = trainer(run__steps=1, data__labels="none")
    run.run()
    before = sorted(path.name for path in run.folder.path.iterdir())
    wish = ["evaluate", str(run.folder.path), "--samples", "10", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, wish)
    assert result.exit_code == 0, result.output
    stored = [json.loads(line) for line in (tmp_path / "out" / "scores.jsonl").read_text().splitlines()]
    assert {score["bundle"].split("@")[0] for score in stored} == {"dcgan-modern"}
    assert sorted(path.name for path in run.folder.path.iterdir()) == before
    assert CliRunner().invoke(app, [*wish, "--save"]).exit_code == 1
