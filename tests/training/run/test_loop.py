"""The loop: what a run leaves behind, when it stops, what it warns of."""

import json

import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.training.conftest import TrainerFactory
from training.compute.randomness import StepRandom, stream_seed
from training.data.batch import Batch
from training.data.dataset import Sampler
from training.errors import DivergenceError, RunFolderError
from training.run import samples
from training.run.snapshot import grid_pictures


def test_a_run_folder_holds_recipe_stats_grids_and_checkpoints(trainer: TrainerFactory) -> None:
    """Everything needed to understand and to continue the run."""
    run = trainer(run__snapshot_every=3)
    assert run.run().complete
    folder = run.folder
    assert folder.recipe() == run.recipe
    assert folder.facts() == {"classes": ["bar", "disc"], "pictures": 48}
    assert [p.name for p in sorted(folder.grids.iterdir())] == ["step-00000003.png", "step-00000006.png"]
    last, again = Image.open(folder.grids / "step-00000006.png"), samples.grid(grid_pictures(run.algorithm), 10)
    assert last.size == (169, 169)
    assert last.tobytes() == again.tobytes(), "the seeds are the same whenever it is drawn"
    facts = [json.loads(line) for line in folder.stats_file.read_text().splitlines()]
    assert {"step", "images", "seconds", "discriminator_loss", "real_accuracy", "fake_accuracy"} <= facts[0].keys()
    assert any("diversity_ratio" in fact for fact in facts)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(trainer: TrainerFactory) -> None:
    """The run seed decides everything."""
    runs = [trainer(folder=str(k), run__seed=seed) for k, seed in enumerate((1, 1, 2))]
    for run in runs:
        run.run()
    first, second, third = (next(iter(run.algorithm.state_dict()["generator"].values())) for run in runs)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(
    trainer: TrainerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training never goes on with NaN, and never saves it."""
    run = trainer(run__steps=20, run__snapshot_every=4)
    step = run.algorithm.step

    def poisoned(batch: Batch, random: StepRandom) -> dict[str, Tensor]:
        stats = step(batch, random)
        return stats | {"generator_loss": torch.tensor(float("nan"))} if random.step == 6 else stats

    monkeypatch.setattr(run.algorithm, "step", poisoned)
    with pytest.raises(DivergenceError, match="generator_loss"):
        run.run()
    assert run.folder.latest_step() == 4


def test_a_run_stops_when_its_minutes_are_over(trainer: TrainerFactory) -> None:
    """`run.max_minutes` is a budget, not a wish."""
    outcome = trainer(run__steps=100_000, run__max_minutes=0.01).run()
    assert not outcome.complete
    assert outcome.seconds < 10


def test_a_collapsed_generator_is_called_so(trainer: TrainerFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person sees a warning when all samples are alike."""
    warnings: list[str] = []
    monkeypatch.setattr(samples, "COLLAPSE_AFTER_PICTURES", 0)
    run = trainer(run__steps=1)
    monkeypatch.setattr(run.algorithm, "sample", lambda latents, labels=None: torch.zeros(len(latents), 3, 16, 16))
    monkeypatch.setattr(run.progress, "warn", warnings.append)
    run.run()
    assert len(warnings) == 1
    assert "collapsed" in warnings[0]


def test_a_run_that_should_stop_when_it_collapses_does(
    trainer: TrainerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run.on_collapse='stop'`: the run ends with a checkpoint, and says how to go on."""
    warnings: list[str] = []
    monkeypatch.setattr(samples, "COLLAPSE_AFTER_PICTURES", 0)
    run = trainer(run__steps=6, run__snapshot_every=2, run__on_collapse="stop")
    monkeypatch.setattr(run.algorithm, "sample", lambda latents, labels=None: torch.zeros(len(latents), 3, 16, 16))
    monkeypatch.setattr(run.progress, "warn", warnings.append)
    assert run.run().step == run.folder.latest_step() == 2
    assert "run.on_collapse='warn'" in warnings[0]


@pytest.mark.parametrize("world_size", [1, 2])
def test_every_epoch_visits_every_picture_once(world_size: int) -> None:
    """Also when epochs do not end with a batch, and over processes together."""
    samplers = [Sampler(10, 4, seed=3, rank=rank, world_size=world_size) for rank in range(world_size)]
    seen = [int(i) for step in range(10) for sampler in samplers for i in sampler.indices(step)]
    for epoch in range(len(seen) // 10):
        assert sorted(seen[epoch * 10 : epoch * 10 + 10]) == list(range(10))
    assert seen[:10] != seen[10:20]


def test_streams_depend_on_every_word_and_nothing_else() -> None:
    """Draws under one purpose do not shift those under another."""
    seeds = {stream_seed(s, t, r, w) for s in (0, 1) for t in (0, 1) for r in (0, 1) for w in ("a", "b")}
    assert len(seeds) == 16
    assert all(0 <= seed < 2**63 for seed in seeds)
    one, two = StepRandom(5, 9), StepRandom(5, 9)
    two.normal("other", 100)
    assert torch.equal(one.normal("latents", 4, 3), two.normal("latents", 4, 3))


def test_a_finished_run_can_be_made_longer_and_nothing_else(trainer: TrainerFactory) -> None:
    """More steps for the same run; another width would be another run."""
    run = trainer(run__steps=2)
    run.run()
    longer = trainer(run__steps=4)
    assert longer.step == 2
    assert longer.run().complete
    assert run.folder.recipe().run.steps == 4
    with pytest.raises(RunFolderError, match=r"another recipe.*run\.steps"):
        trainer(run__steps=4, generator__width=8)
    assert run.folder.recipe().generator.width == 4
