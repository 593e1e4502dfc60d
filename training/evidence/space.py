"""A feature space of our own: the last hidden layer of a small CIFAR-10 classifier, and Fréchet distances in it.

Figures from it are named `cls_frechet`: they are not FID, whose extractor cannot be had offline.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.classifiers.attributes import Labelled, train_classifier
from training.data.dataset import load_dataset
from training.networks.attribute_classifier import Classifier, load_classifier
from training.recipes.tables import DataTable

DATA = DataTable(path="../shared/data/cifar10", size=32, labels="class", flip=True)
KEPT = Path("runs/cifar-patches.safetensors")
EPOCHS = 3
SIDE = 32

Images = NDArray[np.float32]


def obtain(path: Path = KEPT) -> Classifier:
    """The classifier, trained in a minute or two when it is not there."""
    if path.is_file():
        return load_classifier(path)
    dataset, _ = load_dataset(DATA)
    assert dataset.labels is not None
    one_hot = np.eye(len(dataset.classes), dtype=np.float32)[dataset.labels.numpy()]
    people = np.arange(len(dataset))  # every tenth picture is measured on
    found = train_classifier(Labelled(dataset.pictures.numpy(), one_hot, people, dataset.classes), epochs=EPOCHS)
    found.save(path)
    return found


def features(classifier: Classifier, images: Images) -> NDArray[np.float64]:
    """[n, 128] of pictures float32 [n, 3, 32, 32] in -1..1."""
    with torch.inference_mode():
        rows = [
            classifier.net.head[:2](classifier.net.features(torch.from_numpy(part).clamp(-1, 1)))
            for part in np.array_split(images, max(1, len(images) // 256))
        ]
    return np.asarray(torch.cat(rows).double().numpy())


def frechet(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """|m1-m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of two sets of features (Heusel et al. 2017, equation 6)."""
    difference = one.mean(0) - other.mean(0)
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    root = _root(first)
    middle = np.linalg.eigvalsh(root @ second @ root)
    cross = np.sqrt(np.clip(middle, 0, None)).sum()
    return float(difference @ difference + np.trace(first) + np.trace(second) - 2 * cross)


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T)
