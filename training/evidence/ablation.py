"""Which technique buys what: the paper's table of Inception scores in small, by our named scores, at equal steps.

A 16x16 DCGAN with everything on (labels, minibatch discrimination, smoothing, virtual batch norm), then one thing off at
a time, then feature matching in place of the adversarial cost. The scores are those of a classifier of real pictures.
"""

from __future__ import annotations

from typing import Any

import torch

from training.classifiers.classifier import Classifier
from training.compute.precision import with_hardware
from training.data.dataset import Dataset
from training.evaluate import distances
from training.evaluate.extractors import from_classifier
from training.evidence import quick
from training.recipes.resolve import resolve
from training.run import samples

COUNT = 2000
EVERYTHING = {
    "data.labels": "class",
    "loss.auxiliary": "0.5",
    "loss.real_target": "0.9",
    "technique.minibatch_kernels": "32",
    "generator.norm": "virtual",
}
UNLABELLED = {"data.labels": "none", "loss.auxiliary": "0"}
VARIANTS: dict[str, dict[str, str]] = {
    "everything": {},
    "-VBN+BN": {"generator.norm": "batch"},
    "-L+HA": {**UNLABELLED, "technique.historical": "0.001"},
    "-LS": {"loss.real_target": "1.0"},
    "-L": UNLABELLED,
    "-MBF": {"technique.minibatch_kernels": "0"},
    "-L+FM": {**UNLABELLED, "technique.feature_matching": "l1"},
}


def run(variant: str, path: str, data: Dataset, classifier: Classifier, seed: int, steps: int) -> dict[str, Any]:
    """Trains one variant from scratch on pictures already read, and scores it: cls_score and cls_frechet."""
    options = {**EVERYTHING, **VARIANTS[variant], "data.path": path, "data.size": "16", "data.channels": "1"}
    options |= {"generator.width": "16", "discriminator.width": "16", "augment.policy": "[]", "ema.images": "5000"}
    options |= {
        "run.seed": str(seed),
        "run.steps": str(steps),
        "run.channels_last": "false",
        "run.precision": "float32",
    }
    recipe = with_hardware(resolve("dcgan-modern", [f"{key}={value}" for key, value in options.items()]))
    shown = data if recipe.data.labels == "class" else Dataset(data.pictures, None, ())
    algorithm = quick.train(recipe, shown)
    latents = samples.seed_latents(range(COUNT), algorithm.latent_size, recipe.latent.distribution)
    labels = samples.grid_labels(COUNT, len(shown.classes), 1)
    fake = algorithm.sample(latents, labels)
    extractor = from_classifier(classifier)
    real = data.batch(torch.arange(COUNT)).pictures
    ours, theirs = extractor.extract(fake), extractor.extract(real)
    return {
        "cls_score": distances.class_score(ours.logits, 1, seed)[0],
        "cls_frechet": distances.frechet(theirs.features, ours.features),
        "steps": steps,
    }
