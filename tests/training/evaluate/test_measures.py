"""Each measure on sets whose answer is known without it."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import multivariate_normal

from training.evaluate import classes, distances, neighbours


def gaussian(count: int, size: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed)) + shift


def test_class_score_runs_from_one_to_the_number_of_classes() -> None:
    """Sure and evenly spread over K classes: K. The same answer to everything: 1."""
    sure = torch.eye(5).repeat(200, 1) * 50
    assert distances.class_score(sure, splits=1)[0] == pytest.approx(5, abs=1e-3)
    assert distances.class_score(torch.ones(1000, 5), splits=10)[0] == pytest.approx(1, abs=1e-4)


def test_frechet_is_the_formula_for_gaussians() -> None:
    """From the sample means and covariances, with scipy's matrix square root."""
    real, fake = gaussian(400, 4, 0), gaussian(300, 4, 1, 0.5) * torch.tensor([1.0, 2.0, 0.5, 1.0])
    a, b = real.double().numpy(), fake.double().numpy()
    cross = sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * cross)
    assert distances.frechet(real, fake) == pytest.approx(expected, rel=1e-3)
    assert distances.frechet(real, real) == pytest.approx(0, abs=1e-3)


def test_kernel_distance_is_near_zero_for_one_distribution_only() -> None:
    """Two halves of one distribution against two different ones."""
    same, _ = distances.kernel(gaussian(500, 8, 0), gaussian(500, 8, 1))
    other, _ = distances.kernel(gaussian(500, 8, 0), gaussian(500, 8, 1, 1.0))
    assert abs(same) < 0.05
    assert other > 0.5


def test_lines_tell_a_small_fault_that_is_in_every_picture() -> None:
    """Two halves of one distribution are not told apart; a shift of a tenth of a deviation in each of 400 numbers is."""
    real, same, shifted = gaussian(3000, 400, 0), gaussian(3000, 400, 1), gaussian(3000, 400, 2, 0.1)
    assert neighbours.linear_two_sample_accuracy(real, same) == pytest.approx(0.5, abs=0.05)
    assert neighbours.linear_two_sample_accuracy(real, shifted) > 0.75
    assert sum(neighbours.two_sample_accuracy(real, shifted)) / 2 < 0.65
    assert neighbours.linear_two_sample_accuracy(torch.ones(9, 4), -torch.ones(9, 4)) == 1.0


def test_precision_and_recall_tell_quality_from_variety() -> None:
    """Equal sets: 1 and 1. One real picture again and again: all precise, little recalled. Far away: 0 and 0."""
    real = gaussian(300, 6, 0)
    assert distances.precision_recall(real, real) == (1.0, 1.0)
    collapsed = real[:1] + gaussian(300, 6, 1) * 1e-3
    precision, recall = distances.precision_recall(real, collapsed)
    assert precision == 1.0
    assert recall < 0.1
    assert distances.precision_recall(real, gaussian(300, 6, 2, 50.0)) == (0.0, 0.0)


def test_density_and_coverage_are_not_decided_by_an_outlier() -> None:
    """Equal sets: about 1 and 1. Collapsed: dense, hardly covering. A far real outlier changes neither."""
    real = gaussian(300, 6, 0)
    density, coverage = distances.density_coverage(real, gaussian(300, 6, 1))
    assert density == pytest.approx(1, abs=0.2)
    assert coverage > 0.9
    dense, covered = distances.density_coverage(real, real[:1] + gaussian(300, 6, 2) * 1e-3)
    assert dense > 1
    assert covered < 0.1
    outlier = torch.cat([real, real[:1] + 100])
    assert distances.density_coverage(outlier, gaussian(300, 6, 1))[0] == pytest.approx(density, abs=0.02)


def test_two_sample_accuracy_knows_alike_apart_and_copies() -> None:
    """One distribution: about a half. Apart: 1. Copies of the real rows: each finds its twin of the other kind, 0."""
    real = gaussian(400, 3, 0)
    assert sum(neighbours.two_sample_accuracy(real, gaussian(400, 3, 1))) / 2 == pytest.approx(0.5, abs=0.08)
    assert neighbours.two_sample_accuracy(real, gaussian(400, 3, 1, 30.0)) == (1.0, 1.0)
    assert neighbours.two_sample_accuracy(real, real.clone() + 1e-6) == (0.0, 0.0)


def test_parzen_is_the_mean_log_density_of_a_mixture() -> None:
    """Against scipy's Gaussians, summed by hand; the bandwidth is the best of the table on validation rows."""
    samples, validation, test = gaussian(20, 3, 0) * 0.3, gaussian(10, 3, 1) * 0.3, gaussian(10, 3, 2) * 0.3
    value, error, width = neighbours.parzen(samples, validation, test)

    def by_hand(rows: torch.Tensor, bandwidth: float) -> np.ndarray:
        densities = [multivariate_normal(s.numpy(), bandwidth**2).pdf(rows.numpy()) for s in samples]
        return np.log(np.mean(densities, 0))

    assert value == pytest.approx(by_hand(test, width).mean(), rel=1e-3)
    assert error == pytest.approx(by_hand(test, width).std(ddof=1) / math.sqrt(10), rel=1e-2)
    assert width == max(neighbours.BANDWIDTHS, key=lambda w: by_hand(validation, w).mean())


def test_nearest_is_nearest() -> None:
    """Blocks and all, against the full matrix."""
    queries, among = gaussian(1200, 2, 0), gaussian(50, 2, 1)
    distance, index = neighbours.nearest(queries, among)
    full = torch.cdist(queries, among)
    assert torch.equal(index, full.argmin(1))
    assert torch.allclose(distance, full.min(1).values)


def test_missing_classes_are_counted() -> None:
    """A class with no samples is not covered, and the shares are as far from equal as they are."""
    covered, distance = classes.classes_covered(torch.tensor([0] * 50 + [1] * 50), 4)
    assert covered == 2
    assert distance == pytest.approx(0.5)
