"""What classifiers say of samples: which classes appear, and how well one trained on samples knows real pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from training.classifiers.classifier import train_classifier
from training.data.dataset import Dataset
from training.evaluate.neighbours import nearest

SHARE = 0.01  # of the samples: a class below it does not count as covered


def classes_covered(predicted: Tensor, classes: int) -> tuple[int, float]:
    """How many classes have at least 1 % of the samples, and the total variation from equal shares (0 … 1)."""
    shares = torch.bincount(predicted, minlength=classes) / len(predicted)
    return int((shares >= SHARE).sum()), float((shares - 1 / classes).abs().sum() / 2)


def trained_on_samples(samples: Dataset, real: Dataset, epochs: float, seed: int) -> float:
    """Accuracy on real pictures of a classifier that saw only samples with the labels they were asked for."""
    return train_classifier(samples, real, epochs, seed).accuracy


def neighbour_classifier(samples: Tensor, labels: Tensor, real: Tensor, truth: Tensor) -> float:
    """Accuracy on real rows of a 1-nearest-neighbour classifier over samples (Radford et al. 2016, MNIST table)."""
    _, index = nearest(real, samples)
    return float((labels[index] == truth).float().mean())
