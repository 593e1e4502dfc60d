"""Training on by moments of features: samples come nearer, a killed run continues, a pyramid moves as one."""

import copy
from pathlib import Path

import pytest
import torch

from tests.training.conftest import TrainerFactory
from tests.training.run.test_resume import same
from training.algorithms.base import Algorithm
from training.algorithms.matched import Matched
from training.compute.parallel import Parallel
from training.compute.randomness import StepRandom
from training.errors import RecipeError
from training.methods.frechet import Moments, Target, transport
from training.recipes.resolve import from_tree, resolve
from training.run.averaging import Source, average
from training.run.begin_from import begin_from

SMALL = {
    "matching__networks": "[0]", "matching__side": 32, "matching__population": 512, "matching__real": 512,
    "matching__every": 10, "run__batch": 64, "run__steps": 8, "ema__images": 0, "optimizer__generator__lr": 5e-4,
}  # fmt: skip
ALIKE = SMALL | {"optimizer__generator__lr": 2e-4, "optimizer__generator__beta1": 0.9}
LOOKING = 8  # steps until 512 pictures are seen
PYRAMID = {"pyramid__sizes": "[8,16]", "pyramid__width": 4, "pyramid__base_width": 4, "data__size": 16}


def test_it_looks_first_and_every_move_brings_samples_nearer(trainer: TrainerFactory) -> None:
    """Nothing moves until the moments are known; the distance of fresh samples is less after twelve moves."""
    looked = trainer(**ALIKE)
    fresh = copy.deepcopy(looked.algorithm.state_dict()["generator"])
    looked.run()
    before, weights = distance(looked.algorithm), looked.algorithm.state_dict()["generator"]
    assert all(torch.equal(fresh[name], weights[name]) for name in _weights(looked.algorithm.generators()[0][0]))
    moved = trainer(**ALIKE | {"run__steps": LOOKING + 12})
    moved.run()
    assert distance(moved.algorithm) < before


def test_a_run_that_was_killed_ends_the_same(trainer: TrainerFactory) -> None:
    """Moments and the way are kept with the weights."""
    wish = SMALL | {"run__steps": 13, "run__snapshot_every": 10, "run__keep_checkpoints": 4}
    whole = trainer(**wish)
    whole.run()
    final = whole.folder.checkpoint_path()
    final.rename(final.with_suffix(".kept"))
    rest = trainer(**wish)
    assert rest.step == 10
    rest.run()
    assert same(whole.algorithm.state_dict(), rest.algorithm.state_dict())


def test_all_levels_of_a_pyramid_move_and_others_begin_from_it(trainer: TrainerFactory, tmp_path: Path) -> None:
    """By what comes out at the end; its run folder begins another run and is averaged like any."""
    run = trainer("lapgan-modern", **SMALL | PYRAMID | {"run__steps": 12})
    before = [
        moving.state_dict()[name].clone() for moving, _ in run.algorithm.generators() for name in _weights(moving)
    ]
    run.run()
    after = [moving.state_dict()[name] for moving, _ in run.algorithm.generators() for name in _weights(moving)]
    assert sum(not torch.equal(*pair) for pair in zip(before, after, strict=True)) > 0.8 * len(before)
    mean = average([Source(run.folder, None), Source(run.folder, None)], tmp_path / "mean")
    assert mean.recipe().run.mean_of == ("run@12", "run@12")
    begin_from(run.algorithm, run.folder.path)


def test_it_is_of_one_process(trainer: TrainerFactory) -> None:
    """Several are refused with a sentence, not given moments that differ."""
    run = trainer(**SMALL)
    inner = run.algorithm
    assert isinstance(inner, Matched)
    inner.inner.parallel = inner.inner.setting.parallel
    object.__setattr__(inner.inner.setting, "parallel", Parallel(0, 2))
    inner.inner.parallel = Parallel(0, 2)
    with pytest.raises(RecipeError, match="one process"):
        Matched(inner.inner)


def test_where_it_is_not_heard_it_is_refused() -> None:
    """An upsampler has no samples whose moments could be taken."""
    with pytest.raises(RecipeError, match=r"matching\.networks does nothing"):
        from_tree(resolve("photo-x2", []).model_dump() | {"matching": {"networks": [0]}})


def _weights(network: torch.nn.Module) -> list[str]:
    return [name for name, _ in network.named_parameters()]


def distance(algorithm: Algorithm) -> float:
    """Of 1,024 fresh pictures of the moving generator, from the real ones it was shown."""
    assert isinstance(algorithm, Matched)
    space, random = algorithm.spaces[0], StepRandom(1, 0)
    found = Moments(len(space.real.mean))
    for label in torch.nn.functional.one_hot(torch.arange(1024) % 2, 2).float().split(64):
        with torch.no_grad():
            pictures = algorithm.inner.draw(random.normal("fresh", 64, algorithm.latent_size), label, random)
            found.see(space.features(pictures[-1], label))
    return float(transport(found, Target(space.real), torch.ones_like(found.mean)).distance)
