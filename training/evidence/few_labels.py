"""Semi-supervised runs with few labels, short ones at a stated length: what the averaged classifier gets wrong."""

from __future__ import annotations

from typing import Any

import torch

from training.algorithms.base import Algorithm
from training.compute.precision import with_hardware
from training.data.dataset import Dataset, load_dataset
from training.errors import EvaluationError
from training.evidence import quick
from training.export.bundle import open_run
from training.recipes.recipe import Recipe
from training.recipes.resolve import resolve
from training.run.run_folder import RunFolder

ROWS = (
    ("mnist-ssl", 100), ("mnist-ssl", 20), ("mnist-ssl", 50), ("mnist-ssl", 200), ("fashion-ssl", 100),
    ("fashion-ssl", 1000),
)  # fmt: skip
CIFAR = ("cifar10-ssl", 4000)
CURVE = "curve.cifar10-ssl"
CIFAR_BATCH, CIFAR_STEPS, CIFAR_TESTED = 20, 20, 1000
PAPER = {
    ("mnist-ssl", 20): "1677 ± 452", ("mnist-ssl", 50): "221 ± 136", ("mnist-ssl", 100): "93 ± 6.5",
    ("mnist-ssl", 200): "90 ± 4.2", ("cifar10-ssl", 4000): "18.63 ± 2.32 %",
}  # fmt: skip


def key(recipe: str, labels: int, seed: int) -> str:
    """The name of the fact."""
    return f"few_labels.{recipe}.{labels}.{seed}"


def run(name: str, labels: int, seed: int, steps: int) -> dict[str, Any]:
    """One run; the seed draws the labels that are kept as well as weights, noise and order. Errors on the whole test set."""
    recipe = with_hardware(resolve(name, [f"run.steps={steps}", *_choices(labels, seed)]))
    return _trained_and_tested(recipe, 0)


def check_cifar(seed: int = 0) -> dict[str, Any]:
    """A few steps of the CIFAR-10 recipe with its own networks and a small batch: that it runs, not what it reaches."""
    name, labels = CIFAR
    sizes = [f"run.steps={CIFAR_STEPS}", f"run.batch={CIFAR_BATCH}", "run.channels_last=false", "run.precision=float32"]
    return _trained_and_tested(with_hardware(resolve(name, [*sizes, *_choices(labels, seed)])), CIFAR_TESTED)


def of_checkpoint(run: RunFolder, step: int, limit: int = 0) -> dict[str, Any]:
    """What a run's averaged classifier gets wrong after `step` steps, of the whole test set or its first `limit` pictures."""
    recipe = run.recipe()
    return _tested(recipe, open_run(run, step).algorithm, limit) | {
        "steps": step,
        "epochs": step * recipe.run.batch / run.facts()["pictures"],
        "average_images": recipe.semi_supervised.average_images,
    }


def _choices(labels: int, seed: int) -> list[str]:
    return [f"data.labelled={labels}", f"data.label_seed={seed}", f"run.seed={seed}"]


def _trained_and_tested(recipe: Recipe, limit: int) -> dict[str, Any]:
    train, _ = load_dataset(recipe.data)
    return _tested(recipe, quick.train(recipe, train), limit) | {"steps": recipe.run.steps, "seed": recipe.run.seed}


def _tested(recipe: Recipe, algorithm: Algorithm, limit: int) -> dict[str, Any]:
    classifier = algorithm.export_discriminator()
    if classifier is None:
        raise EvaluationError(f"{recipe.name} has no classifier")
    test, _ = load_dataset(recipe.data.model_copy(update={"split": "test", "labelled": 0, "limit": limit}))
    return {
        "wrong": errors(classifier, test),
        "of": len(test),
        "labels": recipe.data.labelled,
        "batch": recipe.run.batch,
    }


@torch.no_grad()
def errors(classifier: torch.nn.Module, test: Dataset) -> int:
    """Wrong answers of a classifier graph (picture -> logits, features) on every picture."""
    assert test.labels is not None
    wrong = 0
    for rows in torch.split(torch.arange(len(test)), 500):
        logits, _ = classifier(test.batch(rows).pictures)
        wrong += int((logits.argmax(1) != test.labels[rows]).sum())
    return wrong
