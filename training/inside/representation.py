"""Features for a linear classifier (Radford et al. 2016, section 5.1): every convolution's answer, max-pooled to 4x4.

The pooled maps of all layers are flattened and concatenated; a linear SVM with squared hinge loss learns the classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.networks.dcgan import DcganDiscriminator

GRID = 4
STRENGTHS = (1e-4, 1e-3, 1e-2)  # of C, as in the released code; chosen on held-out training pictures
ITERATIONS = 100
Features = NDArray[np.float32]


@torch.no_grad()
def pooled_features(discriminator: DcganDiscriminator, pictures: Tensor, batch: int = 256) -> Features:
    """[N, C, H, W] in [-1, 1] -> [N, 16 * (sum of the layers' channels)]."""
    rows = []
    for part in torch.split(pictures, batch):
        x, maps = part, []
        for block in discriminator.blocks:
            x = block(x)
            maps.append(nn.functional.adaptive_max_pool2d(x, GRID).flatten(1))
        rows.append(torch.cat(maps, 1))
    return np.asarray(torch.cat(rows).numpy(), np.float32)


@dataclass(frozen=True)
class Learned:
    """Accuracy on the test rows (0 … 1) and the strength that won on the held-out rows."""

    accuracy: float
    strength: float


def linear_svm(train: Features, labels: NDArray[np.int64], test: Features, truth: NDArray[np.int64]) -> Learned:
    """L2-SVM one against the rest; C is the best of three on the last fifth of the training rows."""
    cut = len(train) * 4 // 5
    trials = {c: LinearSvm(train[:cut], labels[:cut], c).accuracy(train[cut:], labels[cut:]) for c in STRENGTHS}
    best = max(trials, key=lambda c: trials[c])
    return Learned(LinearSvm(train, labels, best).accuracy(test, truth), best)


class LinearSvm:
    """w and b of K classes that minimise |w|^2 / 2 + C sum max(0, 1 - y (w x + b))^2, x each feature standardised.

    By L-BFGS: every step is two matrix products in float32. liblinear wants float64 and a standardised copy, which is 11 GB for
    50,000 rows of 14,336 numbers.
    """

    def __init__(self, rows: Features, labels: NDArray[np.int64], strength: float) -> None:
        from scipy.optimize import minimize  # slow to import: only who asks waits

        self.mean, self.deviation = rows.mean(0), rows.std(0) + np.float32(1e-6)
        self.classes, self.strength = np.unique(labels), strength
        self.rows, self.targets = rows, np.where(labels[:, None] == self.classes, 1, -1).astype(np.float32)
        self.shape = (rows.shape[1] + 1, len(self.classes))
        start = np.zeros(np.prod(self.shape))
        found = minimize(self._cost, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
        self.weights = found.x.reshape(self.shape).astype(np.float32)
        del self.rows, self.targets

    def scores(self, rows: Features, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """[N, K]; standardised by moving the weights, not the rows, which are large."""
        scaled = weights[:-1] / self.deviation[:, None]
        return np.asarray(rows @ scaled + (weights[-1] - self.mean @ scaled), np.float32)

    def accuracy(self, rows: Features, labels: NDArray[np.int64]) -> float:
        """Share of rows whose highest score is their class."""
        return float((self.classes[self.scores(rows, self.weights).argmax(1)] == labels).mean())

    def _cost(self, flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Cost and gradient, both over C N: the search's tolerances then mean the same for every C."""
        weights = flat.reshape(self.shape).astype(np.float32)
        short = np.maximum(0, 1 - self.targets * self.scores(self.rows, weights))
        pull, decay = -2 * self.targets * short / len(short), 1 / (self.strength * len(short))
        gradient = np.empty(self.shape)
        gradient[:-1] = decay * weights[:-1]
        gradient[:-1] += (self.rows.T @ pull - np.outer(self.mean, pull.sum(0))) / self.deviation[:, None]
        gradient[-1] = pull.sum(0)
        length, error = (np.square(part, dtype=np.float64).sum() for part in (weights[:-1], short))
        return float(0.5 * decay * length + error / len(short)), gradient.ravel()


def balanced_rows(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Indices of `count` rows, equally many of each class, in random order: the 1,000-label protocol of SVHN."""
    random = np.random.default_rng(seed)
    classes = np.unique(labels)
    each = count // len(classes)
    chosen = [random.permutation(np.flatnonzero(labels == c))[:each] for c in classes]
    return np.asarray(random.permutation(np.concatenate(chosen)), np.int64)
