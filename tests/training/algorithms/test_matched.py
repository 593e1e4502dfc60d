"""Training on by moments of features: samples come nearer, a killed run continues, a pyramid moves as one."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from models.runtimes import open_runtime
from tests.training.conftest import TrainerFactory
from tests.training.run.test_resume import same
from training.algorithms.matched import WARM_UP, Matched
from training.compute.parallel import Parallel
from training.compute.randomness import StepRandom
from training.errors import RecipeError
from training.export.bundle import export_run
from training.methods.frechet import Moments
from training.recipes.resolve import from_tree, resolve
from training.run.averaging import Source, average
from training.run.begin_from import begin_from

SMALL = {
    "matching__networks": "[0]", "matching__side": 32, "matching__population": 512, "matching__real": 512,
    "run__batch": 64, "ema__images": 0,
}  # fmt: skip
SEMI_SUPERVISED = {
    "data__labels": "class", "data__labelled": 6, "data__channels": 1, "semi_supervised__generator": "[16, 16]",
    "semi_supervised__discriminator": "[16, 16, 16]",
}  # fmt: skip
LOOKING = 8  # steps until 512 pictures are seen
PYRAMID = {"pyramid__sizes": "[8,16]", "pyramid__width": 4, "pyramid__base_width": 4, "data__size": 16}


def test_it_only_looks_until_the_moments_are_known(trainer: TrainerFactory) -> None:
    """Then it moves."""
    run = trainer(**SMALL | {"run__steps": LOOKING})
    fresh = copy.deepcopy(run.algorithm.generators()[0][0])
    run.run()
    assert _same_weights(fresh, run.algorithm.generators()[0][0])
    moved = trainer(**SMALL | {"run__steps": LOOKING + 1})
    moved.run()
    assert not _same_weights(fresh, moved.algorithm.generators()[0][0])


def test_the_first_moves_are_small(trainer: TrainerFactory) -> None:
    """The moments lag behind by thousands of pictures: at the full rate a generator has gone too far before they see it."""
    run = trainer(**SMALL | {"run__steps": LOOKING + 1, "optimizer__decay_from": 1.0})
    fresh = copy.deepcopy(run.algorithm.generators()[0][0])
    run.run()
    pairs = zip(fresh.parameters(), run.algorithm.generators()[0][0].parameters(), strict=True)
    furthest = max(float((before - after).detach().abs().max()) for before, after in pairs)
    assert furthest == pytest.approx(run.recipe.optimizer.generator.lr / WARM_UP, rel=0.05)


def test_its_gradient_is_that_of_the_distance(trainer: TrainerFactory) -> None:
    """A small step of the weights against it shortens the distance of the same latents' pictures by what it foretells."""
    run = trainer(**SMALL | {"run__steps": LOOKING, "matching__labels": 0})
    run.run()
    algorithm = run.algorithm
    assert isinstance(algorithm, Matched)
    space, weights = algorithm.networks[0].last, list(algorithm.generators()[0][0].parameters())
    before, features = distance(algorithm)
    cost = space.loss(features) * space.real.covariance.trace()
    gradients = torch.autograd.grad(cost, weights)
    step = 0.01 / float(torch.stack([gradient.square().sum() for gradient in gradients]).sum())
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.sub_(step * gradient)
    assert before - distance(algorithm)[0] == pytest.approx(0.01, rel=0.2)


def test_a_run_that_was_killed_ends_the_same(trainer: TrainerFactory) -> None:
    """Moments and the ways, of early stages and bands too, are kept with the weights."""
    wish = SMALL | {"matching__early": 0.3, "matching__bands": 0.5, "run__steps": 12, "run__snapshot_every": 10}
    wish |= {"run__keep_checkpoints": 4}
    whole = trainer(**wish)
    whole.run()
    final = whole.folder.checkpoint_path()
    final.rename(final.with_suffix(".kept"))
    rest = trainer(**wish)
    assert rest.step == 10
    rest.run()
    assert same(whole.algorithm.state_dict(), rest.algorithm.state_dict())


def test_a_run_from_before_early_stages_goes_on(trainer: TrainerFactory) -> None:
    """Its checkpoint holds none of theirs."""
    run = trainer(**SMALL | {"run__steps": LOOKING + 1})
    run.run()
    before = {key: value for key, value in run.algorithm.state_dict().items() if not key.endswith(".early")}
    run.algorithm.load_state_dict(before)
    assert same(run.algorithm.state_dict(), before | {"matching.0.early": []})


def test_the_ways_of_early_stages_are_found_anew_more_often(trainer: TrainerFactory) -> None:
    """They move within few steps: along an old way they would go on past where they should end."""
    run = trainer(**SMALL | {"run__steps": LOOKING + 1, "matching__early": 0.3, "matching__every": 8})
    run.run()
    algorithm = run.algorithm
    assert isinstance(algorithm, Matched)
    network = algorithm.networks[0]
    last, early = network.last.way, network.early[0].way
    network.find_ways(LOOKING + 1)
    assert network.last.way is last
    assert network.early[0].way is early
    network.find_ways(LOOKING + 2)
    assert network.last.way is last
    assert network.early[0].way is not early
    network.find_ways(LOOKING + 8)
    assert network.last.way is not last


def test_early_stages_tell_a_grid_from_what_it_is_drawn_on(trainer: TrainerFactory) -> None:
    """A fine grid of dots over a picture costs more, by the weight that the recipe gives them and what the last layer sees."""
    run = trainer(**SMALL | {"run__steps": LOOKING + 1, "matching__labels": 0, "matching__early": 0.5})
    run.run()
    algorithm = run.algorithm
    assert isinstance(algorithm, Matched)
    network, random = algorithm.networks[0], StepRandom(1, 0)
    labels = torch.nn.functional.one_hot(torch.arange(64) % 2, 2).float()
    plain = algorithm.draw(random.normal("x", 64, algorithm.latent_size), labels, random)[-1].detach()
    line = (-1.0) ** torch.arange(plain.shape[-1])
    cost, stats = network.loss(plain, labels)
    dotted, dotted_stats = network.loss(plain + 0.2 * line[:, None] * line, labels)
    early, dotted_early = float(stats["lite0_early_loss"]), float(dotted_stats["lite0_early_loss"])
    assert dotted_early > 1.3 * early
    assert float(dotted - cost) > 0.5 * (dotted_early - early) > 0


def test_all_levels_of_a_pyramid_move_and_others_begin_from_it(trainer: TrainerFactory, tmp_path: Path) -> None:
    """By what comes out at the end; its run folder begins another run and is averaged like any."""
    run = trainer("lapgan-modern", **SMALL | PYRAMID | {"run__steps": 10})
    before = [
        moving.state_dict()[name].clone() for moving, _ in run.algorithm.generators() for name in _weights(moving)
    ]
    run.run()
    after = [moving.state_dict()[name] for moving, _ in run.algorithm.generators() for name in _weights(moving)]
    assert sum(not torch.equal(*pair) for pair in zip(before, after, strict=True)) > 0.8 * len(before)
    mean = average([Source(run.folder, None), Source(run.folder, None)], tmp_path / "mean")
    assert mean.recipe().run.mean_of == ("run@10", "run@10")
    begin_from(run.algorithm, run.folder.path)


def test_a_semi_supervised_classifier_stays_what_it_was(trainer: TrainerFactory, tmp_path: Path) -> None:
    """Its generator, told of no label, moves on; the bundle classifies as the one that the run begins with."""
    old = trainer("fashion-ssl", "old", **SEMI_SUPERVISED | {"run__steps": 3})
    old.run()
    new = trainer("fashion-ssl", "new", **SEMI_SUPERVISED | SMALL | {"run__steps": LOOKING + 1})
    begin_from(new.algorithm, old.folder.path)
    new.run()
    assert not _same_weights(old.algorithm.generators()[0][1], new.algorithm.generators()[0][1])
    bundles = [export_run(run.folder, tmp_path / "bundles", run.folder.path.name) for run in (old, new)]
    pictures = np.random.default_rng(0).uniform(-1, 1, (8, 1, 16, 16)).astype(np.float32)
    before, after = (open_runtime(bundle).discriminate(pictures) for bundle in bundles)
    np.testing.assert_array_equal(before.logits, after.logits)


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


def distance(algorithm: Matched) -> tuple[float, torch.Tensor]:
    """Of 256 pictures of the moving generator, always the same latents, with their features; the way is theirs then."""
    network, random = algorithm.networks[0], StepRandom(1, 0)
    space = network.last
    labels = torch.nn.functional.one_hot(torch.arange(256) % 2, 2).float()
    pictures = algorithm.draw(random.normal("x", 256, algorithm.latent_size), labels, random)[-1]
    features = network.features(pictures, None)[0]
    space.fake = Moments(len(space.real.mean))
    space.fake.see(features.detach())
    space.find_way()
    assert space.way is not None
    return float(space.way.distance), features


def _same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(*pair) for pair in zip(one.parameters(), other.parameters(), strict=True))


def _weights(network: torch.nn.Module) -> list[str]:
    return [name for name, _ in network.named_parameters()]
