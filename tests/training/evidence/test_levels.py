"""Where a pyramid loses: a level alone, on real pictures, beside samples, at every size."""

from pathlib import Path

from tests.training.conftest import TrainerFactory
from training.evidence.lapgan import level_fact
from training.export.bundle import export_run


def test_every_level_is_measured_with_and_without_those_below(trainer: TrainerFactory, tmp_path: Path) -> None:
    """Real pictures are nearer than an untrained pyramid's; the coarsest level has nothing below it."""
    run = trainer("lapgan-modern", run__steps=1, pyramid__sizes="[8, 16]")
    run.run()
    bundle = export_run(run.folder, tmp_path / "bundles", "pyramid")
    fact = level_fact(bundle, None)
    coarse, fine = fact["levels"]
    assert [coarse["size"], fine["size"]] == [8, 16]
    assert coarse["alone"] is None
    assert coarse["sampled"] > coarse["floor"]
    assert fine["sampled"] > fine["floor"]
    assert fine["alone"] > 0
