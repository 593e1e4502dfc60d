"""The Frechet distance as a cost: its way, its gradient, and the moments it is taken from."""

import torch
from torch import Tensor

from training.evaluate import distances
from training.methods.frechet import Moments, Target, Transport, transport

SIZE = 6


def features(count: int, seed: int, shift: float = 0.0) -> Tensor:
    """Normal numbers with a mean and correlations of their own."""
    stream = torch.Generator().manual_seed(seed)
    mix = torch.randn(SIZE, SIZE, generator=stream)
    return torch.randn(count, SIZE, generator=stream) @ mix + shift


def moments_of(found: Tensor, population: int = 0, batch: int = 50) -> Moments:
    """Seen in batches."""
    moments = Moments(found.shape[1], population)
    for part in found.split(batch):
        moments.see(part)
    return moments


def way_between(source: Tensor, target: Tensor) -> Transport:
    """With every feature in its own unit."""
    return transport(moments_of(source), Target(moments_of(target)), torch.ones(SIZE))


def test_moments_of_batches_are_those_of_all() -> None:
    """Mean and covariance as if there had been one batch."""
    found = features(1000, 0, 3.0)
    moments = moments_of(found, batch=32)
    torch.testing.assert_close(moments.mean, found.mean(0))
    torch.testing.assert_close(moments.covariance, torch.cov(found.T, correction=0), rtol=1e-4, atol=1e-4)


def test_a_population_forgets_what_is_long_gone() -> None:
    """After three populations of other pictures hardly anything of the first is left."""
    old, new = features(2000, 0, 50.0), features(6000, 1)
    moments = moments_of(torch.cat([old, new]), population=500)
    assert (moments.mean - new.mean(0)).abs().max() < 2.0
    assert moments.covariance.trace() < 1.5 * torch.cov(new.T).trace()


def test_a_batch_may_be_larger_than_the_population() -> None:
    """Then it is all that is known: a mean that went further than the batch's would run away."""
    found = features(640, 0, 3.0)
    moments = moments_of(found, population=32, batch=64)
    torch.testing.assert_close(moments.mean, found[-64:].mean(0))
    assert moments.covariance.trace() < 2 * torch.cov(found.T).trace()


def test_the_way_ends_at_the_target_and_is_as_long_as_the_distance() -> None:
    """Features that went it have the target's moments; the mean square of its length is Frechet's distance."""
    source, target = features(4000, 0), features(4000, 1, 1.0)
    way = way_between(source, target)
    there = way.ends(source, source.mean(0))
    torch.testing.assert_close(there.mean(0), target.mean(0), rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(torch.cov(there.T), torch.cov(target.T), rtol=1e-2, atol=2e-2)
    length = (there - source).square().sum(1).mean()
    torch.testing.assert_close(length, way.distance, rtol=1e-2, atol=0.0)
    assert abs(float(way.distance) - distances.frechet(target, source)) < 0.01 * float(way.distance)


def test_the_gradient_is_that_of_the_distance() -> None:
    """Beside the distance's own definition, differentiated."""
    source, target = features(400, 2).requires_grad_(True), features(400, 3, 0.5)
    way = way_between(source.detach(), target)
    (source - way.ends(source, source.detach().mean(0))).square().sum(1).mean().backward()
    cost = source.grad
    assert cost is not None
    twin = source.detach().double().requires_grad_(True)
    exact(twin, target.double()).backward()
    assert twin.grad is not None
    torch.testing.assert_close(cost.double(), twin.grad, rtol=2e-2, atol=5e-4)


def test_units_count_as_they_are_told_to() -> None:
    """A feature of a larger unit weighs more in the distance, and ends come back in the unit they came in."""
    source, target, units = features(2000, 4), features(2000, 5), torch.tensor([1.0, 1, 1, 1, 1, 9])
    scaled = transport(moments_of(source), Target(moments_of(target)), units)
    plain, mean = way_between(source * units, target * units), source.mean(0)
    torch.testing.assert_close(scaled.distance, plain.distance, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(
        scaled.ends(source, mean) * units, plain.ends(source * units, mean * units), rtol=1e-2, atol=5e-2
    )


def exact(source: Tensor, target: Tensor) -> Tensor:
    """Heusel et al. 2017, by eigenvalues of C C'."""
    first, second = torch.cov(source.T, correction=0), torch.cov(target.T, correction=0)
    values = torch.linalg.eigvals(first @ second).real.clamp_min(0)
    return (source.mean(0) - target.mean(0)).square().sum() + first.trace() + second.trace() - 2 * values.sqrt().sum()
