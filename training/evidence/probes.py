"""How good a discriminator's features are for a linear machine: DCGAN section 5.1 in small, beside two baselines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from models.bundle import Bundle
from training import algorithms
from training.algorithms.base import Setting, plain_copy
from training.algorithms.two_player import TwoPlayer
from training.compute.precision import with_hardware
from training.data.dataset import Dataset, load_dataset
from training.inside import representation
from training.inside.shipped import networks
from training.networks.dcgan import DcganDiscriminator
from training.recipes.recipe import Recipe
from training.recipes.resolve import from_tree
from training.recipes.tables import DataTable
from training.run import checkpoint
from training.run.run_folder import RunFolder

FEW = 1000
FEATURES = ("trained", "random", "pixels")
REGIMES = (100, 400, 1000)  # labels a class; 400 is the paper's small regime, and all labels come beside them
DRAWS = 3  # of the labelled rows in each regime
Rows = tuple[Any, Any]  # features [N, F] and classes [N]


def of_bundle(bundle: Bundle, known: int = 2000, unseen: int = 2000) -> Mapping[str, Any]:
    """A shipped discriminator's features of its own data set."""
    table = from_tree(bundle.manifest.provenance.recipe).data
    pair = networks(bundle)[1], networks(bundle, random=True)[1]
    return {"bundle": bundle.reference, **_compare(*pair, table, known, unseen)}


def of_run(folder: Path, features: str) -> Mapping[str, Any]:
    """One kind of `FEATURES` of a run's whole data set: accuracies on all test rows, and what the run had seen."""
    run = RunFolder(folder)
    recipe, newest = with_hardware(run.recipe()), checkpoint.load(run.checkpoint_path())
    data = recipe.data.model_copy(update={"flip": False, "labels": "class"})
    parts = [_all_rows(data.model_copy(update={"split": split})) for split in ("train", "test")]
    if features == "pixels":
        known, unseen = ((pictures.flatten(1).numpy(), labels) for pictures, labels in parts)
    else:
        network = _of_recipe(recipe, newest if features == "trained" else None)
        known, unseen = ((representation.pooled_features(network, pictures), labels) for pictures, labels in parts)
    seen = {"steps": newest.step, "batch": recipe.run.batch, "known": len(known[1]), "unseen": len(unseen[1])}
    return {**seen, "size": known[0].shape[1], **_accuracies(known, unseen)}


def _of_recipe(recipe: Recipe, state: checkpoint.Checkpoint | None) -> DcganDiscriminator:
    """The discriminator a recipe begins with, or, with a checkpoint, the trained one."""
    spec = load_dataset(recipe.data.model_copy(update={"limit": 1}))[0].spec
    algorithm = algorithms.build(Setting(recipe, spec))
    if state is not None:
        algorithm.load_state_dict(state.algorithm)
    return _discriminator(algorithm)


def _accuracies(known: Rows, unseen: Rows) -> dict[str, Any]:
    """With few labels, each regime drawn `DRAWS` times, and with all."""
    (rows, labels), classes = known, len(set(known[1].tolist()))
    found: dict[str, Any] = {}
    for each in REGIMES:
        draws = [representation.balanced_rows(labels, each * classes, seed) for seed in range(DRAWS)]
        found[str(each)] = [representation.linear_svm(rows[d], labels[d], *unseen).accuracy for d in draws]
    return found | {"all": representation.linear_svm(rows, labels, *unseen).accuracy}


def _all_rows(table: DataTable) -> tuple[Tensor, Any]:
    data: Dataset = load_dataset(table)[0]
    assert data.labels is not None
    return data.batch(torch.arange(len(data))).pictures, data.labels.numpy()


def _discriminator(algorithm: object) -> DcganDiscriminator:
    network = cast(TwoPlayer, algorithm).discriminator
    return cast(DcganDiscriminator, plain_copy(network))


def _compare(
    trained: DcganDiscriminator, random: DcganDiscriminator, table: DataTable, known: int, unseen: int
) -> dict[str, Any]:
    """Accuracies with few labels and with all `known`, of trained features, of random ones and of pixels."""
    (learn, labels), (check, truth) = _rows(table, known), _rows(table.model_copy(update={"split": "test"}), unseen)
    rows = {
        "pixels": (learn.flatten(1).numpy(), check.flatten(1).numpy()),
        "trained": tuple(representation.pooled_features(trained, part) for part in (learn, check)),
        "random": tuple(representation.pooled_features(random, part) for part in (learn, check)),
    }
    found: dict[str, Any] = {}
    for title, (ours, theirs) in rows.items():
        for count in (FEW, known):
            found[f"{title}.{count}"] = representation.linear_svm(ours[:count], labels[:count], theirs, truth).accuracy
        found[f"{title}.size"] = ours.shape[1]
    return {"known": known, "unseen": unseen, "found": found}


def _rows(table: DataTable, count: int) -> tuple[Tensor, Any]:
    data: Dataset = load_dataset(table.model_copy(update={"flip": False, "labelled": 0}))[0]
    assert data.labels is not None
    chosen = torch.from_numpy(representation.balanced_rows(data.labels.numpy(), count, 0))
    return data.batch(chosen).pictures, data.labels[chosen].numpy()
