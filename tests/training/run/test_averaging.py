"""The mean of checkpoints is a run like any other: it holds the mean, names its sources, is exported and trained on."""

from pathlib import Path

import pytest
import torch

from tests.training.conftest import TrainerFactory
from training.errors import RunFolderError
from training.export.bundle import export_run
from training.run import checkpoint
from training.run.averaging import Source, average

PLAIN = {"recipe": "dcgan-modern", "data__labels": "none"}
PYRAMID = {"recipe": "lapgan-modern", "data__labels": "none", "pyramid__sizes": "[8, 16]"}


@pytest.mark.parametrize("kind", [PLAIN, PYRAMID])
def test_weights_are_the_mean_and_the_card_says_of_what(
    trainer: TrainerFactory, tmp_path: Path, kind: dict[str, str]
) -> None:
    """Of two runs, one of them at a named step; what is no average is the first one's."""
    runs = [trainer(folder=f"run-{seed}", run__steps=2, run__seed=seed, **kind) for seed in (1, 2)]
    for run in runs:
        run.run()
    folder = average([Source.of(str(tmp_path / "run-1")), Source.of(f"{tmp_path / 'run-2'}@2")], tmp_path / "mean")
    mean = trainer(**kind, run__seed=1)
    saved = checkpoint.load(folder.checkpoint_path())
    mean.algorithm.load_state_dict(saved.algorithm)
    for (kept, new), *olds in zip(
        mean.algorithm.generators(), *(run.algorithm.generators() for run in runs), strict=True
    ):
        first, second = olds
        assert all(torch.equal(a, b) for a, b in zip(kept.parameters(), first[0].parameters(), strict=True))
        for a, b, c in zip(new.parameters(), first[1].parameters(), second[1].parameters(), strict=True):
            torch.testing.assert_close(a, (b + c) / 2)
    bundle = export_run(folder, tmp_path, "mean-bundle")
    assert bundle.manifest.provenance.recipe["run"]["mean_of"] == ["run-1@2", "run-2@2"]
    assert "weights the mean of run-1@2, run-2@2" in (bundle.folder / "README.md").read_text()


def test_what_has_no_mean_is_refused(trainer: TrainerFactory, tmp_path: Path) -> None:
    """One checkpoint alone, another network, a place that is taken, a step that is none or not kept: each with its sentence."""
    trainer(folder="run-1", run__steps=1, **PLAIN).run()
    trainer(folder="run-2", run__steps=1, generator__width=8, **PLAIN).run()
    one, other = (Source.of(str(tmp_path / name)) for name in ("run-1", "run-2"))
    with pytest.raises(RunFolderError, match="two checkpoints or more"):
        average([one], tmp_path / "mean")
    with pytest.raises(RunFolderError, match="different networks"):
        average([one, other], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()
    with pytest.raises(RunFolderError, match="is there already"):
        average([one, one], tmp_path / "run-2")
    with pytest.raises(RunFolderError, match="RUN@STEP"):
        Source.of("run-1@last")
    with pytest.raises(RunFolderError):
        average([one, Source.of(f"{tmp_path / 'run-1'}@7")], tmp_path / "mean")
