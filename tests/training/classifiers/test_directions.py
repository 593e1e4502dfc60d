"""Directions learned from a classifier: it learns what it is told, and moving along a direction changes just that."""

import copy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from models.bundle import Bundle, read_bundle
from models.mathematics.directions import by_regression, read_directions
from models.mathematics.latents import draw, normalise
from models.runtimes.projection import Graph
from training.classifiers import directions as module
from training.classifiers.attributes import Labelled, by_name, train_classifier
from training.classifiers.directions import Lens, Study, learn, measure, ship, study
from training.classifiers.labelled import load_labelled, shows
from training.classifiers.tuning import Tuner, back_on_prior, tune
from training.errors import DataError
from training.networks.attribute_classifier import Classifier, load_classifier


@pytest.fixture(scope="module")
def labelled() -> Labelled:
    """Noise pictures that are bright or dark and red or not, of a hundred made-up people."""
    random = np.random.RandomState(0)
    labels = random.randint(0, 2, (800, 2)).astype(np.float32)
    shift = np.zeros((800, 3, 1, 1), np.float32)
    shift += (labels[:, 0, None, None, None] - 0.5) * 60
    shift[:, 0] += (labels[:, 1, None, None] - 0.5) * 90
    pictures = random.normal(128, 30, (800, 3, 16, 16)) + shift
    persons = np.arange(800) % 100
    return Labelled(pictures.clip(0, 255).astype(np.uint8), labels, persons, ("bright", "red"))


@pytest.fixture(scope="module")
def classifier(labelled: Labelled) -> Classifier:
    return train_classifier(labelled, epochs=3, batch=64, report=lambda line: None)


def test_the_classifier_learns_and_is_kept(classifier: Classifier, labelled: Labelled, tmp_path: Path) -> None:
    """It is right about people it never saw, and says the same after saving and loading."""
    assert min(classifier.accuracy.values()) > 0.85
    images = labelled.pictures[:32].astype(np.float32) / 127.5 - 1
    classifier.save(tmp_path / "c.safetensors")
    again = load_classifier(tmp_path / "c.safetensors")
    np.testing.assert_array_equal(again.logits(images), classifier.logits(images))
    assert (again.names, again.accuracy) == (classifier.names, classifier.accuracy)
    (tmp_path / "x.safetensors").write_bytes(b"no")
    with pytest.raises(DataError):
        load_classifier(tmp_path / "x.safetensors")


def test_attributes_are_columns_of_numbers_or_values_of_text() -> None:
    """0 and 1, CelebA's -1 and 1, or a column's text against the values that mean yes; text alone is refused with an example."""
    known = {"male": "1", "young": "-1", "age": "3-9"}
    assert [shows(known, name) for name in ("male", "young", "age:0-2|3-9", "age:20-29")] == [True, False, True, False]
    with pytest.raises(DataError, match="'age' is text; say which values mean yes, for example age:3-9"):
        shows(known, "age")


def test_an_attribute_must_tell_pictures_apart(picture_folder: Path, tiny: Bundle) -> None:
    """A value that no picture has (a wrong comma, a typo) is refused, where a classifier of nothing was trained before."""
    found = load_labelled(tiny, picture_folder / "attributes.csv", ["class:disc"])
    assert found.labels.mean() == 0.5
    with pytest.raises(DataError, match="the same answer for class:disc,bar"):
        load_labelled(tiny, picture_folder / "attributes.csv", ["class:disc,bar"])


def test_nobody_is_on_both_sides(labelled: Labelled) -> None:
    """Pictures of one person are either learned from or measured on."""
    learned, held = labelled.split()
    assert not set(labelled.persons[learned]) & set(labelled.persons[held])
    with pytest.raises(DataError, match="there are bright, red"):
        by_name(labelled.names, ["blue"])


def test_directions_are_learned_measured_and_shipped(
    classifier: Classifier, tiny: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each direction raises its own score and is at right angles to the others'; the bundle has them afterwards."""
    monkeypatch.setattr(module, "FLIP_SEEDS", 40)
    own = read_bundle(Path(shutil.copytree(tiny.folder, tmp_path / "tiny")))
    lens = Lens(own, classifier)
    found = study(lens, 400, lambda line: None)
    made = learn(found, {"bright": "bright", "red": "reddish"})
    for column, direction in enumerate(made):  # a step either way; random weights bend, so not every seed follows
        ahead, behind = (lens.logits(found.latents[:50] + step * direction.vector)[:, column] for step in (1, -1))
        assert (ahead > behind).mean() > 0.65
        assert (ahead - behind).mean() > 0
        other, _ = by_regression(found.latents, found.logits[:, 1 - column])
        assert abs(float(direction.vector @ other)) < 1e-3
    measured = measure(lens, made, classifier.names, lambda line: None)
    assert 0 <= measured[0].measured["flips_others_stay"] <= measured[0].measured["flips"] <= 1
    shipped = ship(own, measured)
    assert shipped.digest != own.digest
    back = read_directions(read_bundle(tmp_path / "tiny"))
    assert sorted(back) == ["bright", "reddish"]
    np.testing.assert_array_equal(back["reddish"].vector, made[1].vector)
    assert back["bright"].measured["seeds"] == 40


def halving(classifier: Classifier, logits: np.ndarray) -> Classifier:
    """The same classifier, its thresholds moved so that half of those logits are above them."""
    net = copy.deepcopy(classifier.net)
    bias = net.head[2].bias
    assert isinstance(bias, torch.Tensor)
    with torch.no_grad():
        bias -= torch.from_numpy(np.median(logits, 0))
    return Classifier(net, classifier.names, classifier.accuracy)


def test_tuning_turns_a_direction_towards_its_attribute_alone(classifier: Classifier, tiny: Bundle) -> None:
    """As long as before and turned; by the cost it learns from, it is better on seeds that it was not tuned on."""
    lens = Lens(tiny, halving(classifier, Lens(tiny, classifier).logits(draw(tiny.manifest.latent, range(300)))))
    seeds, unseen = study(lens, 300, lambda line: None), draw(tiny.manifest.latent, range(5000, 5200))
    linear = learn(seeds, {})
    tuned = tune(lens, seeds, linear, 40, lambda line: None)
    fresh = Tuner(lens, Study(unseen, lens.logits(unseen), seeds.names), Graph(tiny, None, 1))
    for column, (before, after) in enumerate(zip(linear, tuned, strict=True)):
        assert np.linalg.norm(after.vector) == pytest.approx(np.linalg.norm(before.vector), rel=1e-4)
        assert after.measured["cosine_to_linear"] < 0.999
        assert after.unit != before.unit
        costs = [float(fresh.cost(torch.tensor(d.vector), column, np.arange(200))) for d in (before, after)]
        assert costs[1] < costs[0]
    assert [d.origin for d in tune(lens, seeds, linear, 0, lambda line: None)] == ["learned", "learned"]


@pytest.mark.parametrize("distribution", ["standard_normal", "uniform"])
def test_going_back_on_the_prior_is_what_a_server_does(tiny: Bundle, distribution: str) -> None:
    """The tensors' way is the arrays' way, row by row."""
    prior = tiny.manifest.latent.model_copy(update={"distribution": distribution})
    rows = 3 * draw(prior, range(4))
    given = back_on_prior(prior, torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(given, np.stack([normalise(prior, row) for row in rows]), atol=1e-6)
