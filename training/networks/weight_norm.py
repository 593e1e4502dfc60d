"""Weight normalisation with data-dependent start (Salimans and Kingma 2016): w = g v / |v|.

The start runs one batch of data through the network and sets each layer's g and b so that, on that batch, every output
channel has mean 0 and variance 1: what batch normalisation would do once, without ever looking at a batch again.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

WEIGHT = "parametrizations.weight"  # where torch keeps g (original0) and v (original1)
SMALLEST_SPREAD = 1e-6  # a channel that never varies on the first batch keeps a finite gain


def normalise(layer: nn.Module, fixed_gain: bool = False) -> nn.Module:
    """The linear or convolutional layer, weight-normalised per output channel; `fixed_gain` does not learn g."""
    normal: nn.Module = weight_norm(layer, dim=1 if isinstance(layer, nn.ConvTranspose2d) else 0)
    if fixed_gain:
        _gain(normal).requires_grad_(False)
    return normal


def normalise_all(network: nn.Module) -> nn.Module:
    """Every linear and convolutional layer of the network, normalised in place."""
    for module in list(network.modules()):
        if isinstance(module, (nn.Linear, nn.Conv2d)) and not parametrize.is_parametrized(module):
            normalise(module)
    return network


def normalised_layers(network: nn.Module) -> list[nn.Module]:
    """The weight-normalised layers, in the order they were registered."""
    return [
        module
        for module in network.modules()
        if parametrize.is_parametrized(module, "weight") and f"{WEIGHT}.original0" in dict(module.named_parameters())
    ]


@torch.no_grad()
def start_from_data(network: nn.Module, pictures: Tensor, labels: Tensor | None = None) -> None:
    """Sets g and b of every weight-normalised layer from one batch [N, C, H, W], layer after layer, in place."""
    if not normalised_layers(network):
        return
    handles = [layer.register_forward_hook(_rescale) for layer in normalised_layers(network)]
    try:
        network(pictures, None if labels is None else labels[: len(pictures)])
    finally:
        for handle in handles:
            handle.remove()


def _rescale(layer: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
    axes = [0, *range(2, out.dim())]
    shape = (1, -1) + (1,) * (out.dim() - 2)
    mean, spread = out.mean(axes), out.std(axes, correction=0).clamp_min(SMALLEST_SPREAD)
    gain, bias = _gain(layer), layer.bias
    gain.div_(spread.view(gain.shape))
    if isinstance(bias, nn.Parameter):
        bias.copy_((bias - mean) / spread)
    else:
        mean = torch.zeros_like(mean)
    return (out - mean.view(shape)) / spread.view(shape)


def _gain(layer: nn.Module) -> nn.Parameter:
    return layer.get_parameter(f"{WEIGHT}.original0")
