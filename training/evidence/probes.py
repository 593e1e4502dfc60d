"""How good a discriminator's features are for a linear machine: DCGAN section 5.1 in small, beside two baselines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from models.bundle import Bundle
from training import algorithms
from training.algorithms.base import Setting, plain_copy
from training.algorithms.two_player import TwoPlayer
from training.compute.precision import with_hardware
from training.data.dataset import Dataset, load_dataset
from training.evidence import quick
from training.inside import representation
from training.inside.shipped import networks
from training.networks.dcgan import DcganDiscriminator
from training.recipes.resolve import from_tree, resolve
from training.recipes.tables import DataTable

FEW = 1000
CIFAR = [
    "data.path=../shared/data/cifar10", "data.labels=none", "data.size=32", "data.channels=3", "generator.width=16",
    "discriminator.width=24", "augment.policy=[]", "run.batch=64", "run.precision=float32", "run.channels_last=false",
]  # fmt: skip


def of_bundle(bundle: Bundle, known: int = 2000, unseen: int = 2000) -> Mapping[str, Any]:
    """A shipped discriminator's features of its own data set."""
    table = from_tree(bundle.manifest.provenance.recipe).data
    pair = networks(bundle)[1], networks(bundle, random=True)[1]
    return {"bundle": bundle.reference, **_compare(*pair, table, known, unseen)}


def of_cifar(steps: int, known: int = 2000, unseen: int = 2000) -> Mapping[str, Any]:
    """A small DCGAN trained without labels on CIFAR-10 for so many steps."""
    recipe = with_hardware(resolve("dcgan-modern", [*CIFAR, f"run.steps={steps}"]))
    train, _ = load_dataset(recipe.data.model_copy(update={"flip": False}))
    trained = quick.train(recipe, train)
    random = algorithms.build(Setting(recipe, train.spec))
    table = recipe.data.model_copy(update={"labels": "class"})
    pair = _discriminator(trained), _discriminator(random)
    return {"steps": steps, "batch": recipe.run.batch, **_compare(*pair, table, known, unseen)}


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
