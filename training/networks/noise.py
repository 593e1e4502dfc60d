"""Gaussian noise as a layer: added in training, absent in evaluation (Salimans et al. 2016 put it before every layer)."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

STOCK = 1 << 22  # standard normal numbers drawn once; a layer takes a run of them that begins anywhere


class GaussianNoise(nn.Module):
    """x -> x + sigma * N(0, 1) in training; x in evaluation.

    Where to begin in the stock is drawn from torch's global generator, seeded every step. On a CPU fresh normal numbers
    for every layer were a sixth of a step of the fully connected nets.
    """

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        return torch.add(x, _normal_like(x), alpha=self.sigma) if self.training and self.sigma else x


def _normal_like(x: Tensor) -> Tensor:
    if x.device.type != "cpu" or x.numel() > STOCK // 2:
        return torch.randn_like(x)
    stock = _stock(x.dtype)
    start = int(torch.randint(STOCK - x.numel(), ()))
    return stock[start : start + x.numel()].view(x.shape)


@lru_cache(maxsize=2)
def _stock(kind: torch.dtype) -> Tensor:
    return torch.randn(STOCK, generator=torch.Generator().manual_seed(0)).to(kind)
