"""Directions learned from a classifier: it learns what it is told, and moving along a direction changes just that."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from models.bundle import Bundle, read_bundle
from models.mathematics.directions import read_directions
from training.classifiers import directions as module
from training.classifiers.attributes import Classifier, Labelled, by_name, load_classifier, train_classifier
from training.classifiers.directions import Lens, learn, measure, ship, study
from training.errors import DataError


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
        other, _ = module.by_regression(found.latents, found.logits[:, 1 - column])
        assert abs(float(direction.vector @ other)) < 1e-3
    measured = measure(lens, made, classifier.names, lambda line: None)
    assert 0 <= measured[0].measured["flips_others_stay"] <= measured[0].measured["flips"] <= 1
    shipped = ship(own, measured)
    assert shipped.digest != own.digest
    back = read_directions(read_bundle(tmp_path / "tiny"))
    assert sorted(back) == ["bright", "reddish"]
    np.testing.assert_array_equal(back["reddish"].vector, made[1].vector)
    assert back["bright"].measured["seeds"] == 40
