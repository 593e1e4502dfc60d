"""Attributes become linear in latents while a generator is trained on: on the tiny set, by a classifier of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.training.algorithms.test_matched import SMALL
from tests.training.conftest import TrainerFactory
from tests.training.run.test_resume import same
from training.algorithms.linear_answers import SPREAD, LinearAnswers
from training.algorithms.matched import Matched
from training.compute.randomness import StepRandom
from training.errors import DataError, RecipeError
from training.methods.linear_model import linear_model, linear_share, normal_scores
from training.networks.attribute_classifier import AttributeNet, Classifier
from training.recipes.resolve import from_tree, resolve


@pytest.fixture
def classifier() -> Classifier:
    """Of two attributes, untrained: its answers differ from picture to picture, which is enough."""
    torch.manual_seed(0)
    return Classifier(AttributeNet(3, 16, 2), ("first", "second"), {"first": 0.5, "second": 0.5})


def test_answers_that_are_wished_for_have_the_ranks_of_latents_and_the_values_of_real_pictures(
    classifier: Classifier,
) -> None:
    """Along the direction found they rise from the least to the greatest real answer, half of them below the median."""
    answers = LinearAnswers(classifier, torch.device("cpu"))
    torch.manual_seed(1)
    real = torch.rand(300, 3, 16, 16) * 2 - 1
    latents = torch.randn(400, 4)
    pictures = (latents[:, :3, None, None] * torch.ones(400, 3, 16, 16) * 0.3).clamp(-1, 1)
    answers.look_at_real(real)
    answers.look(latents, pictures)
    answers.find()
    known = torch.from_numpy(classifier.logits(real.numpy()))
    wished = answers.wished(torch.randn(4000, 4))
    assert wished.shape == (4000, 2)
    assert (wished.median(0).values - known.median(0).values).abs().max() < 0.1 * known.std(0).min()
    assert torch.all(wished >= known.min(0).values - 1e-5)
    assert torch.all(wished <= known.max(0).values + 1e-5)
    said = normal_scores(torch.from_numpy(classifier.logits(pictures.numpy())))
    wished = normal_scores(answers.wished(latents))
    assert F.cosine_similarity(linear_model(latents, said), linear_model(latents, wished), 0).min() > 0.98
    assert linear_share(latents, wished).min() > 0.97


def test_latents_are_spread_along_directions_alone(classifier: Classifier) -> None:
    """What directions foretell becomes independent and one and a half times as wide; what is beside them stays."""
    answers = LinearAnswers(classifier, torch.device("cpu"))
    torch.manual_seed(1)
    axes = F.normalize(torch.tensor([[1.0, 0.8], [0.0, 0.6], [0.0, 0.0], [0.0, 0.0]]), dim=0)  # 0.8 of each other
    answers.load({"seen": {}, "found": {"axes": axes}})
    latents = torch.randn(20_000, 4)
    spread = answers.spread(latents)
    foretold = (spread @ axes).T
    assert torch.allclose(torch.cov(foretold), SPREAD**2 * torch.eye(2), atol=0.05)
    assert torch.equal(spread[:, 2:], latents[:, 2:])


def test_a_generator_learns_them(
    trainer: TrainerFactory, classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a direction explains of the answers to new pictures grows."""
    monkeypatch.setattr("training.algorithms.matched.WARM_UP", 1)  # forty moves are to show it
    classifier.save(tmp_path / "classifier.safetensors")
    wish = {"matching__attributes": str(tmp_path / "classifier.safetensors"), "matching__attributes_weight": 30}
    run = trainer(**SMALL | wish | {"run__steps": 48, "optimizer__generator__lr": 1e-3})
    before = explained(run.algorithm, classifier)
    run.run()
    assert explained(run.algorithm, classifier) > before + 0.1


def test_a_killed_run_continues_from_what_it_saw_and_from_what_it_found(
    trainer: TrainerFactory, classifier: Classifier, tmp_path: Path
) -> None:
    """Killed while it looks, and later: the same end."""
    classifier.save(tmp_path / "classifier.safetensors")
    wish = SMALL | {"matching__attributes": str(tmp_path / "classifier.safetensors"), "run__steps": 12}
    kept = wish | {"run__snapshot_every": 5, "run__keep_checkpoints": 4}
    whole = trainer(**kept)
    whole.run()
    for killed_at in (10, 5):
        for step in (10, 12):
            if step > killed_at:
                whole.folder.checkpoint_path(step).unlink()
        rest = trainer(**kept)
        assert rest.step == killed_at
        rest.run()
        assert same(whole.algorithm.state_dict(), rest.algorithm.state_dict())


def test_a_classifier_of_other_pictures_is_refused(trainer: TrainerFactory, tmp_path: Path) -> None:
    """With the sides of both, before anything is trained; so is a file that is none."""
    Classifier(AttributeNet(3, 32, 1), ("one",), {"one": 0.5}).save(tmp_path / "wide.safetensors")
    with pytest.raises(RecipeError, match=r"32x32.*16x16"):
        trainer(**SMALL | {"matching__attributes": str(tmp_path / "wide.safetensors")})
    with pytest.raises(DataError, match="no attribute classifier"):
        trainer(folder="other", **SMALL | {"matching__attributes": str(tmp_path / "none.safetensors")})


def test_recipes_that_cannot_hear_of_it_are_refused() -> None:
    """Without features beside it, and where ranks of a latent's numbers are not normal."""
    recipe = resolve("dcgan-modern", []).model_dump()
    for change in ({}, {"latent": {"distribution": "uniform"}}):
        matching = {"attributes": "c.safetensors", "networks": [0] if change else []}
        with pytest.raises(RecipeError, match=r"matching\.attributes"):
            from_tree({**recipe, "matching": matching, "latent": {**recipe["latent"], **change.get("latent", {})}})


def explained(algorithm: object, classifier: Classifier) -> float:
    """Share of the answers to 400 pictures that a linear model explains, the lesser of two."""
    assert isinstance(algorithm, Matched)
    random = StepRandom(5, 0)
    latents = random.normal("x", 400, algorithm.latent_size)
    labels = F.one_hot(torch.arange(400) % 2, 2).float()
    with torch.no_grad():
        pictures = algorithm.draw(latents, labels, random)[-1].numpy().astype(np.float32)
    return float(linear_share(latents, normal_scores(torch.from_numpy(classifier.logits(pictures)))).min())
