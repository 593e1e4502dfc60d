"""A trained generator gets parts it had not, and paints as before: a network grows, as in Net2Net (Chen et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.networks.lapgan import ResidualLevel, SubpixelResidual
from training.networks.modern import ModernGenerator

Weights = dict[str, Tensor]


def grown(network: nn.Module, weights: Weights) -> Weights:
    """`weights` of a smaller `network`, with what it has more: residual ways of nothing, a painting layer that copies.

    Where nothing is missing, or the network is of another family, they come back as they are. A norm that is new has no
    statistics yet: its block is as an exported one, folded, for `unfold.load_folded`. ValueError where it is too narrow.
    """
    if isinstance(network, ModernGenerator):
        weights = {**weights, **_silent_skips(network, weights)}
        painted = isinstance(network.last, nn.Sequential) and "last.weight" in weights
        return _painting(network, weights) if painted else weights
    if isinstance(network, ResidualLevel) and isinstance(network.residual, SubpixelResidual):
        painted = network.residual.refine is not None and "residual.refine.weight" not in weights
        return _painting_level(network.residual, weights) if painted else weights
    return weights


def _silent_skips(network: ModernGenerator, weights: Weights) -> Weights:
    skips = {name: tensor for name, tensor in network.state_dict().items() if ".skip." in name}
    return {name: torch.zeros_like(tensor) for name, tensor in skips.items() if name not in weights}


def _painting(network: ModernGenerator, weights: Weights) -> Weights:
    """The last rise [W, C, k, k] gives u and -u for each colour; their ReLUs' difference is u."""
    own, last = network.state_dict(), weights.pop("last.weight")
    up, paint = own["last.0.main.layer.weight"].clone(), own["last.1.weight"]
    paint = _copying(paint, last.shape[1], 1.0)
    up[:, : 2 * last.shape[1]] = torch.cat([last, -last], 1)
    return weights | {
        "last.0.main.layer.weight": up,
        "last.0.main.layer.bias": torch.zeros(up.shape[1]),
        "last.1.weight": paint,
        "last.1.bias": weights.pop("last.bias"),
    }


def _painting_level(residual: SubpixelResidual, weights: Weights) -> Weights:
    """The output [4C, W, 3, 3] gives u and -u for each colour; leaky ReLUs' difference is (1 + leak) u."""
    own, old = residual.state_dict(), {part: weights[f"residual.output.{part}"] for part in ("weight", "bias")}
    paint = _copying(own["refine.weight"], len(old["bias"]) // 4, 1 / (1 + residual.leak))
    output = {part: own[f"output.{part}"].clone() for part in old}
    for part, values in old.items():
        output[part][: 2 * len(values)] = torch.cat([values, -values])
    return weights | {
        "residual.output.weight": output["weight"],
        "residual.output.bias": output["bias"],
        "residual.refine.weight": paint,
        "residual.refine.bias": torch.zeros_like(own["refine.bias"]),
    }


def _copying(paint: Tensor, colours: int, share: float) -> Tensor:
    """A painting layer [C, F, 3, 3] that takes channel c and leaves channel C + c; others join in by training."""
    if paint.shape[1] < 2 * colours:
        raise ValueError(f"a painting layer of {paint.shape[1]} channels is too narrow to begin with {colours} colours")
    copying = torch.zeros_like(paint)
    for colour in range(colours):
        copying[colour, colour, 1, 1], copying[colour, colours + colour, 1, 1] = share, -share
    return copying
