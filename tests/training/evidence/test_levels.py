"""Where a pyramid loses: a level alone, on real pictures, beside samples, at every size."""

from pathlib import Path

import pytest
import typer

from tests.training.conftest import TrainerFactory
from training.evidence import lapgan
from training.evidence.lapgan import level_fact
from training.export.bundle import export_run


@pytest.mark.evidence
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


def test_a_family_that_is_none_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    """A quarter of an hour of training a classifier would come first."""
    page = tmp_path / "lapgan.md"
    with pytest.raises(
        typer.BadParameter, match="lapgan: the families are fully connected GAN, DCGAN, LAPGAN, CC-LAPGAN"
    ):
        lapgan.main(out=page, only=["lapgan"])
    assert not page.exists()
