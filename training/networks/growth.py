"""A trained modern generator gets parts it had not, and paints as before: a network grows, as in Net2Net (Chen et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.networks.modern import ModernGenerator

Weights = dict[str, Tensor]


def grown(network: nn.Module, weights: Weights) -> Weights:
    """`weights` of a smaller `network`, with what it has more: residual ways of nothing, a painting layer that copies.

    Where nothing is missing, or the network is of another family, they come back as they are. The painting layer's norm has
    no statistics yet: its block is as an exported one, folded, for `unfold.load_folded`. ValueError where it is too narrow.
    """
    if not isinstance(network, ModernGenerator):
        return weights
    grown_weights = {**weights, **_silent_skips(network, weights)}
    if "last.weight" in weights and isinstance(network.last, nn.Sequential):
        grown_weights |= _copying_painter(
            network.last, grown_weights.pop("last.weight"), grown_weights.pop("last.bias")
        )
    return grown_weights


def _silent_skips(network: ModernGenerator, weights: Weights) -> Weights:
    skips = {name: tensor for name, tensor in network.state_dict().items() if ".skip." in name}
    return {name: torch.zeros_like(tensor) for name, tensor in skips.items() if name not in weights}


def _copying_painter(painter: nn.Sequential, weight: Tensor, bias: Tensor) -> Weights:
    """The last rise [W, C, k, k] as two channels each, u and -u, whose ReLUs' difference is u; others join in by training."""
    up, mixed = (painter.state_dict()[name].clone() for name in ("0.main.layer.weight", "1.weight"))
    colours, channels = weight.shape[1], up.shape[1]
    if channels < 2 * colours:
        raise ValueError(f"a painting layer of {channels} channels is too narrow to begin with {colours} colours")
    up[:, :colours], up[:, colours : 2 * colours] = weight, -weight
    mixed.zero_()
    for colour in range(colours):
        mixed[colour, colour, 1, 1], mixed[colour, colours + colour, 1, 1] = 1.0, -1.0
    return {
        "last.0.main.layer.weight": up,
        "last.0.main.layer.bias": torch.zeros(channels),
        "last.1.weight": mixed,
        "last.1.bias": bias,
    }
