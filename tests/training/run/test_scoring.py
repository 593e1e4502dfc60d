"""Scores while a run trains: the best checkpoint stays beside the newest, is what export takes, and resuming stays exact."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from tests.training.conftest import TrainerFactory
from training.algorithms.base import Algorithm
from training.errors import RecipeError
from training.evaluate.watch import Lite2Watch
from training.export.bundle import export_run, open_run
from training.pretrained import efficientnet
from training.run import checkpoint
from training.run.loop import Trainer
from training.run.scoring import Best, Scorer, draw, keep_if_better, read_best


class Told:
    """A scorer that says what it was told to say, one score after another."""

    decides = "distance"

    def __init__(self, *scores: float) -> None:
        self.scores = list(scores)

    def score(self, algorithm: Algorithm) -> Mapping[str, float]:
        return {"distance": self.scores.pop(0)}


def watched(run: Trainer, scorer: Scorer) -> Trainer:
    """The trainer with that scorer."""
    return Trainer(run.recipe, run.dataset, run.folder, progress=run.progress, scorer=scorer)


def test_the_best_checkpoint_is_kept_and_exported(trainer: TrainerFactory, tmp_path: Path) -> None:
    """Scores 3, 1, 2 at steps 2, 4, 6 with one checkpoint kept: 6 is the newest, 4 the best; export takes 4, or any named."""
    run = watched(trainer(run__snapshot_every=2, run__keep_checkpoints=1, data__labels="none"), Told(3, 1, 2))
    run.run()
    folder = run.folder
    assert (folder.latest_step(), folder.best_step()) == (6, 4)
    assert [file.name for file in folder.best.glob("*.pt")] == ["step-00000004.pt"]
    assert open_run(folder).trained.steps == 4
    assert export_run(folder, tmp_path / "bundles").manifest.provenance.steps == 4
    assert open_run(folder, folder.latest_step()).trained.steps == 6
    facts = [json.loads(line) for line in folder.stats_file.read_text().splitlines()]
    assert [fact["distance"] for fact in facts if "distance" in fact] == [3, 1, 2]


def test_scoring_changes_nothing_that_is_trained(trainer: TrainerFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """With real scores, killed and resumed, the weights are those of a run nobody looked at."""
    alone = trainer(folder="alone", run__snapshot_every=2)
    alone.run()
    first = trainer(folder="watched", run__snapshot_every=2)
    stopped = watched(first, Lite2Watch(first.dataset, 10))
    monkeypatch.setattr(stopped, "_finished", lambda: stopped.step >= 4)
    stopped.run()
    again = trainer(folder="watched", run__snapshot_every=2)
    resumed = watched(again, Lite2Watch(again.dataset, 10))
    resumed.resume()
    assert resumed.step == 4
    resumed.run()
    for name, tensor in alone.algorithm.state_dict()["generator"].items():
        assert torch.equal(tensor, resumed.algorithm.state_dict()["generator"][name])
    facts = [json.loads(line) for line in resumed.folder.stats_file.read_text().splitlines()]
    scored = [fact for fact in facts if "lite2_frechet" in fact]
    assert [fact["step"] for fact in scored] == [2, 4, 6]
    assert all(fact["lite2_frechet"] > 0 and 0 <= fact["lite2_recall"] <= 1 for fact in scored)


def test_a_worse_score_replaces_nothing_and_a_half_written_one_is_none(tmp_path: Path) -> None:
    """The folder always holds the checkpoint it names."""
    for step in (1, 2, 3):
        checkpoint.save(tmp_path / "all", checkpoint.Checkpoint(step, 0.0, {}), keep=9)
    best = tmp_path / "best"
    places = {step: checkpoint.path_of(tmp_path / "all", step) for step in (1, 2, 3)}
    assert keep_if_better(best, places[1], Best(1, "distance", 5.0))
    assert not keep_if_better(best, places[2], Best(2, "distance", 5.0))
    assert keep_if_better(best, places[3], Best(3, "distance", 4.0))
    assert read_best(best) == Best(3, "distance", 4.0)
    assert checkpoint.steps_in(best) == [3]
    checkpoint.path_of(best, 3).unlink()
    assert read_best(best) is None
    (best / "best.json").write_text("{")
    assert read_best(best) is None


def test_drawn_pictures_are_those_of_their_seeds(trainer: TrainerFactory) -> None:
    """In parts or alone, a seed gives its picture; labels go round."""
    run = trainer()
    assert torch.allclose(draw(run.algorithm, range(7, 67))[50:], draw(run.algorithm, range(57, 67)), atol=1e-5)


def test_without_the_extra_a_wish_for_scores_is_refused(
    trainer: TrainerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, before anything is trained."""
    monkeypatch.setattr(efficientnet, "NETWORK_PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(RecipeError, match="pretrained"):
        Lite2Watch(trainer().dataset, 10)
