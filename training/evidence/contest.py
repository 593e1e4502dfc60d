"""Four families learn CIFAR-10 for the same processor time on one thread and are scored alike, by the evaluation suite."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training import algorithms
from training.algorithms.base import Algorithm, Setting
from training.classifiers.classifier import Classifier, load_classifier, train_classifier
from training.compute.precision import with_hardware
from training.compute.randomness import StepRandom
from training.data.dataset import Dataset, Sampler, load_dataset
from training.evaluate import classes, distances, neighbours
from training.evaluate.extractors import from_classifier
from training.recipes.recipe import Recipe
from training.recipes.resolve import resolve
from training.recipes.tables import DataTable
from training.run import samples

DATA = "../shared/data/cifar10"
KEPT = Path("runs/cifar-classifier.safetensors")
SCORED = 2000  # samples and real test pictures
SHOWN, COLUMNS = 60, 10
ENDLESS = "run.steps=1000000"  # the clock ends a contest; no rate falls before
ON_CIFAR = [f"data.path={DATA}", "data.size=32", "data.channels=3", "data.flip=true"]
# the recipe's nets are for an hour; these are for minutes, most of which go to the coarsest pair, and the clock comes
# before generated low pictures do
BRIEF = [
    "pyramid.base_width=48",
    "pyramid.base_discriminator_width=48",
    "pyramid.width=32",
    "pyramid.discriminator_width=32",
    "pyramid.every=[1,4,6]",
    "pyramid.generated_share=0",
]
CONTESTANTS: dict[str, tuple[str, list[str]]] = {
    "fully connected GAN": ("mnist-gan", [*ON_CIFAR, "data.labels=none"]),
    "DCGAN": ("dcgan-modern", [*ON_CIFAR, "generator.width=32", "discriminator.width=32"]),
    "LAPGAN": ("cifar32-lapgan-2015", [*BRIEF, "data.labels=none", "pyramid.label_dropout=0"]),
    "CC-LAPGAN": ("cifar32-lapgan-2015", BRIEF),
}


@dataclass(frozen=True)
class Reference:
    """A classifier of the real set and test pictures [N, 3, 32, 32] that neither it nor any contestant learnt from."""

    classifier: Classifier
    real: Tensor


@cache
def load_reference() -> Reference:
    """Trains the classifier, half an hour, unless it is kept from before: a LeNet is right on two of three only."""
    table = DataTable(path=DATA, size=32, labels="class")
    test, _ = load_dataset(table.model_copy(update={"split": "test"}))
    if not KEPT.is_file():
        train, _ = load_dataset(table.model_copy(update={"flip": True}))
        train_classifier(train, test, epochs=1.0, transfer=True).save(KEPT)
    order = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))
    return Reference(load_classifier(KEPT), test.batch(order[:SCORED]).pictures)


def contest(name: str, minutes: float, reference: Reference, sheet: Path) -> dict[str, Any]:
    """Trains one family for so many minutes of processor time, writes its sheet and says what it reached."""
    recipe_name, overrides = CONTESTANTS[name]
    recipe = with_hardware(resolve(recipe_name, [*overrides, "run.device=cpu", ENDLESS]))
    dataset, _ = load_dataset(recipe.data)
    algorithm, images = train(recipe, dataset, minutes * 60)
    made, asked = pictures_of(algorithm, range(SCORED))
    samples.save_grid(sheet, made[:SHOWN], COLUMNS)
    served = sum(p.numel() for level in algorithm.export_levels() for p in level.module.parameters())
    facts = {"minutes": minutes, "training": len(dataset), "images": images, "parameters": served}
    return {**facts, **scores(made, asked, reference)}


def train(recipe: Recipe, dataset: Dataset, seconds: float) -> tuple[Algorithm, int]:
    """Moves a fresh algorithm for so many seconds of processor time; also returns the real pictures seen."""
    algorithm = algorithms.build(Setting(recipe, dataset.spec))
    sampler = Sampler(len(dataset), algorithm.pictures_per_step, recipe.run.seed)
    begin, step = time.process_time(), 0
    while time.process_time() - begin < seconds:
        random = StepRandom(recipe.run.seed, step)
        random.seed_global()
        algorithm.step(dataset.batch(sampler.indices(step), random), random)
        step += 1
    algorithm.refresh_statistics(StepRandom(recipe.run.seed, step))
    return algorithm, step * algorithm.pictures_per_step


def pictures_of(algorithm: Algorithm, seeds: range) -> tuple[Tensor, Tensor | None]:
    """Pictures [N, 3, 32, 32] in [-1, 1] of the seeds and, where there are classes, the labels asked for, in turn."""
    latents = samples.seed_latents(seeds, algorithm.latent_size, algorithm.recipe.latent.distribution)
    count = len(algorithm.data.classes)
    labels = samples.grid_labels(len(seeds), count, 1)
    hot = [None] * len(latents) if labels is None else torch.split(labels, 100)
    parts = [algorithm.sample(part, label) for part, label in zip(torch.split(latents, 100), hot, strict=False)]
    return torch.cat(parts).float().clamp(-1, 1), None if labels is None else labels.argmax(1)


def scores(made: Tensor, asked: Tensor | None, reference: Reference) -> dict[str, float]:
    """The suite's scores of pictures against real test pictures, all in the classifier's space but the last."""
    extract = from_classifier(reference.classifier).extract
    real, fake = extract(reference.real), extract(made)
    predicted = reference.classifier.predict(made)
    precision, recall = distances.precision_recall(real.features, fake.features)
    found = {
        "cls_score": distances.class_score(fake.logits)[0],
        "cls_frechet": distances.frechet(real.features, fake.features),
        "cls_kid": distances.kernel(real.features, fake.features)[0],
        "cls_precision": precision,
        "cls_recall": recall,
        "classes_covered": float(classes.classes_covered(predicted, len(reference.classifier.classes))[0]),
        "nn_two_sample": sum(neighbours.two_sample_accuracy(reference.real.flatten(1), made.flatten(1))) / 2,
    }
    if asked is not None:
        found["label_agreement"] = float((predicted == asked).float().mean())
    return found
