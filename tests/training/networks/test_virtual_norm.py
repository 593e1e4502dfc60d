"""Virtual batch normalisation against its formula, and its independence of the batch."""

import pytest
import torch
from torch import Tensor, nn

from training.networks import virtual_norm
from training.networks.virtual_norm import VirtualBatchNorm


def by_the_formula(x: Tensor, reference: Tensor, eps: float) -> Tensor:
    """One picture [C, H, W] with the statistics of B reference pictures and itself, weights B/(B+1) and 1/(B+1)."""
    count = len(reference)
    mean = (reference.mean((0, 2, 3)) * count + x.mean((1, 2))) / (count + 1)
    square = (reference.square().mean((0, 2, 3)) * count + x.square().mean((1, 2))) / (count + 1)
    return (x - mean[:, None, None]) / (square - mean.square() + eps).sqrt()[:, None, None]


@pytest.fixture
def measured() -> tuple[VirtualBatchNorm, Tensor]:
    torch.manual_seed(0)
    norm, reference = VirtualBatchNorm(3), torch.randn(8, 3, 4, 4) * 2 + 1
    virtual_norm.measure(norm, lambda: norm(reference))
    return norm, reference


def test_each_picture_is_normalised_against_reference_and_itself(measured: tuple[VirtualBatchNorm, Tensor]) -> None:
    """The layer and the formula agree, in training and in evaluation."""
    norm, reference = measured
    pictures = torch.randn(5, 3, 4, 4)
    expected = torch.stack([by_the_formula(picture, reference, norm.eps) for picture in pictures])
    assert torch.allclose(norm.train()(pictures), expected, atol=1e-5)
    virtual_norm.forget(norm)
    assert torch.allclose(norm.eval()(pictures), expected, atol=1e-5)


def test_a_picture_does_not_depend_on_its_batch(measured: tuple[VirtualBatchNorm, Tensor]) -> None:
    """Alone or among others, the same numbers."""
    norm, _ = measured
    pictures = torch.randn(5, 3, 4, 4)
    assert torch.allclose(norm.eval()(pictures)[3], norm.eval()(pictures[3:4])[0], atol=1e-6)


def test_the_reference_travels_with_the_weights(measured: tuple[VirtualBatchNorm, Tensor]) -> None:
    """The statistics are in the state dictionary: a reloaded network paints the same pictures."""
    norm, _ = measured
    twin = VirtualBatchNorm(3)
    twin.load_state_dict(norm.state_dict())
    pictures = torch.randn(2, 3, 4, 4)
    assert torch.equal(twin.eval()(pictures), norm.eval()(pictures))


def test_gradients_reach_layers_below_through_the_reference() -> None:
    """The reference's statistics are part of the network's answer, so they take part in its gradient."""
    layer, norm = nn.Conv2d(1, 2, 3), VirtualBatchNorm(2)
    network = nn.Sequential(layer, norm).train()
    reference, pictures = torch.randn(4, 1, 6, 6), torch.randn(2, 1, 6, 6)
    virtual_norm.measure(network, lambda: network(reference))
    (with_reference,) = torch.autograd.grad(network(pictures).pow(3).sum(), layer.weight)
    virtual_norm.forget(network)
    (without,) = torch.autograd.grad(network(pictures).pow(3).sum(), layer.weight)
    assert not torch.allclose(with_reference, without)
