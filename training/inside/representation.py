"""Features for a linear classifier (Radford et al. 2016, section 5.1): every convolution's answer, max-pooled to 4x4.

The pooled maps of all layers are flattened and concatenated; a linear SVM with squared hinge loss learns the classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import Tensor, nn

from training.networks.dcgan import DcganDiscriminator

GRID = 4
STRENGTHS = (1e-4, 1e-3, 1e-2)  # of C, as in the released code; chosen on held-out training pictures
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
    trials = {c: _fit(train[:cut], labels[:cut], c).score(train[cut:], labels[cut:]) for c in STRENGTHS}
    best = max(trials, key=lambda c: trials[c])
    return Learned(float(_fit(train, labels, best).score(test, truth)), best)


def _fit(rows: Features, labels: NDArray[np.int64], strength: float) -> LinearSVC:
    machine = make_pipeline(
        StandardScaler(), LinearSVC(C=strength, dual="auto", max_iter=200, tol=1e-2, random_state=0)
    )
    return machine.fit(rows, labels)


def balanced_rows(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Indices of `count` rows, equally many of each class, in random order: the 1,000-label protocol of SVHN."""
    random = np.random.default_rng(seed)
    classes = np.unique(labels)
    each = count // len(classes)
    chosen = [random.permutation(np.flatnonzero(labels == c))[:each] for c in classes]
    return np.asarray(random.permutation(np.concatenate(chosen)), np.int64)
