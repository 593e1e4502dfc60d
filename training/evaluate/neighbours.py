"""Nearest neighbours and densities: does the generator copy, can one tell its pictures apart, how likely are real ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor

BLOCK = 500
RIDGE = 1e-3  # of each column's variance: pixels of real pictures nearly foretell each other
BANDWIDTHS = (0.1, 0.13, 0.17, 0.2, 0.25, 0.3, 0.4, 0.5)  # of the Parzen window, on pictures in 0 … 1


def nearest(queries: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """Distance to, and index of, the nearest row of `among` [M, F] for each query [N, F] (Euclidean)."""
    found = [torch.cdist(part, among).min(1) for part in torch.split(queries, BLOCK)]
    return torch.cat([pair.values for pair in found]), torch.cat([pair.indices for pair in found])


def two_sample_accuracy(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """Leave-one-out 1-NN accuracy on real and on generated rows (Lopez-Paz and Oquab 2017); 0.5 each: not told apart.

    Near 1 on generated: they are unlike the real ones. Near 0 on real with 1 on generated: copies or collapse.
    """
    count = min(len(real), len(fake))
    rows = torch.cat([real[:count], fake[:count]])
    truth = torch.arange(2 * count) < count
    answers = []
    for start in range(0, len(rows), BLOCK):
        distances = torch.cdist(rows[start : start + BLOCK], rows)
        own = torch.arange(start, min(start + BLOCK, len(rows)))
        distances[torch.arange(len(own)), own] = math.inf
        answers.append(truth[distances.argmin(1)])
    right = torch.cat(answers) == truth
    return float(right[:count].float().mean()), float(right[count:].float().mean())


def linear_two_sample_accuracy(real: Tensor, fake: Tensor) -> float:
    """Accuracy of a linear classifier (least squares) that learned from two thirds of the rows, on the last third of them.

    0.5: not told apart. Unlike neighbours it sees a fault that is small and the same in each picture (Lopez-Paz and Oquab 2017).
    """
    count = min(len(real), len(fake))
    rows = torch.stack([real[:count], fake[:count]]).double()
    known, asked = rows[:, : 2 * count // 3], rows[:, 2 * count // 3 :]
    sides = torch.tensor([1.0, -1.0], dtype=torch.float64)
    x, y = known.flatten(0, 1), sides.repeat_interleave(known.shape[1])
    middle, spread = x.mean(0), x.std(0).clamp_min(1e-6)
    x = (x - middle) / spread
    weights = torch.linalg.solve(x.T @ x / len(x) + RIDGE * torch.eye(x.shape[1], dtype=x.dtype), x.T @ y / len(x))
    said = ((asked - middle) / spread) @ weights
    return float((said.sign() == sides[:, None]).double().mean())


def parzen(samples: Tensor, validation: Tensor, test: Tensor) -> tuple[float, float, float]:
    """Mean log-likelihood of test rows under Gaussian windows on the samples, its standard error, and the bandwidth.

    Rows are pictures in 0 … 1 (Goodfellow et al. 2014, section 5); the bandwidth is the best on validation rows. Known to
    mislead in high dimensions; kept as a historical check only.
    """
    likelihoods = {width: float(_log_likelihood(samples, validation, width).mean()) for width in BANDWIDTHS}
    best = max(likelihoods, key=lambda width: likelihoods[width])
    values = _log_likelihood(samples, test, best)
    return float(values.mean()), float(values.std() / math.sqrt(len(values))), best


def _log_likelihood(samples: Tensor, rows: Tensor, width: float) -> Tensor:
    dimensions = rows.shape[1]
    constant = math.log(len(samples)) + 0.5 * dimensions * math.log(2 * math.pi * width**2)
    parts = [(-torch.cdist(part, samples).square() / (2 * width**2)).logsumexp(1) for part in torch.split(rows, BLOCK)]
    return torch.cat(parts) - constant
