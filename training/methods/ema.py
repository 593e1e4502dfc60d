"""The averaged copy of a generator: weights as a moving average over pictures seen, buffers copied."""

from __future__ import annotations

import copy

import torch
from torch import nn


def averaged_copy(network: nn.Module) -> nn.Module:
    """A frozen copy to average into."""
    return copy.deepcopy(network).requires_grad_(False)


def decay(half_life_images: float, rampup: float, batch: int, images_seen: int) -> float:
    """The share of the old average kept in one step: 0.5 ** (batch / half-life).

    The half-life grows with the pictures seen (rampup * images_seen), so early averages forget the noise they began as.
    """
    half_life = min(half_life_images, images_seen * rampup) if rampup else half_life_images
    return float(0.5 ** (batch / max(half_life, 1e-8)))


@torch.no_grad()
def update(average: nn.Module, network: nn.Module, keep: float) -> None:
    """average = keep * average + (1 - keep) * network for weights; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1.0 - keep)
    for mine, theirs in zip(average.buffers(), network.buffers(), strict=True):
        mine.copy_(theirs)
