"""What a served bundle says of itself: its labels by name and number, and who computed."""

from pathlib import Path

import numpy as np
import pytest

from models.bundle import read_bundle
from models.runtimes.onnx_runtime import PROVIDERS
from service.engine.model import Model
from tests.bundles import LABELS


@pytest.fixture
def labelled(bundle_folder: Path) -> Model:
    return Model(read_bundle(bundle_folder / "tiny-labels"))


@pytest.mark.parametrize(("label", "index"), [("red", 0), ("blue", 2), (0, 0), (2, 2), ("0", 0), ("2", 2)])
def test_a_label_is_given_by_name_or_number(labelled: Model, label: str | int, index: int) -> None:
    """A number may come as text, as in an address."""
    assert labelled.label_index(label) == index
    assert labelled.label_name(index) == LABELS[index]


@pytest.mark.parametrize("label", ["Red", "", "3", "-1", 3, -1, "1.0", "²"])
def test_an_unknown_label_is_none_of_them(labelled: Model, label: str | int) -> None:
    """Never the last one, counted from the end."""
    with pytest.raises(KeyError):
        labelled.label_index(label)


def test_a_bundle_without_labels_has_none(bundle_folder: Path) -> None:
    """Neither by name nor by number."""
    plain = Model(read_bundle(bundle_folder / "tiny"))
    assert (plain.label_rows, plain.label_name(0), plain.label_name(None)) == (None, None, None)
    for label in ("red", 0, "0"):
        with pytest.raises(KeyError):
            plain.label_index(label)


def test_every_label_has_its_row(labelled: Model) -> None:
    """One-hot, as the graphs take it."""
    assert labelled.label_rows is not None
    assert np.array_equal(labelled.label_rows, np.eye(3))
    assert labelled.label_rows.dtype == np.float32


def test_a_recipe_names_the_model_and_who_is_not_the_reference(bundle_folder: Path) -> None:
    """The reference provider, or nobody yet, goes without saying."""
    bundle = read_bundle(bundle_folder / "tiny")
    for provider in ("none", PROVIDERS["cpu"]):
        assert Model(bundle, provider).identity == {"model": bundle.reference}
    assert Model(bundle, "OpenVINO").identity == {"model": bundle.reference, "provider": "OpenVINO"}
