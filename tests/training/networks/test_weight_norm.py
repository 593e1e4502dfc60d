"""Weight normalisation: w = g v / |v|, and a start that whitens every layer on the first batch."""

import torch
from torch import nn

from training.networks.weight_norm import normalise, normalise_all, normalised_layers, start_from_data


def test_weights_have_length_g() -> None:
    """Each output channel's weight vector points along v and is g long."""
    layer = nn.Conv2d(3, 4, 3)
    normalise(layer)
    gain = layer.get_parameter("parametrizations.weight.original0")
    direction = layer.get_parameter("parametrizations.weight.original1")
    lengths = direction.flatten(1).norm(dim=1).view(4, 1, 1, 1)
    assert torch.allclose(layer.weight, gain * direction / lengths, atol=1e-6)


def test_after_the_start_every_layer_is_white_on_that_batch() -> None:
    """Mean 0 and variance 1 in every output channel of every layer, convolutional or linear."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(144, 5))
    normalise_all(network)
    pictures = torch.randn(64, 1, 8, 8) * 3 + 2

    class WithLabel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network

        def forward(self, picture: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
            return self.inner(picture)

    start_from_data(WithLabel(), pictures)
    first = network[0](pictures)
    last = network(pictures)
    for out, axes in ((first, (0, 2, 3)), (last, (0,))):
        assert torch.allclose(out.mean(axes), torch.zeros(out.shape[1]), atol=1e-4)
        assert torch.allclose(out.std(axes, correction=0), torch.ones(out.shape[1]), atol=1e-3)
    assert len(normalised_layers(network)) == 2


def test_a_fixed_gain_does_not_learn() -> None:
    """The released CIFAR code learns g in the last layer only."""
    layer = normalise(nn.Linear(3, 2), fixed_gain=True)
    assert not layer.get_parameter("parametrizations.weight.original0").requires_grad
    assert layer.get_parameter("parametrizations.weight.original1").requires_grad
