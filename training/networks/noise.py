"""Gaussian noise as a layer: added in training, absent in evaluation (Salimans et al. 2016 put it before every layer)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GaussianNoise(nn.Module):
    """x -> x + sigma * N(0, 1) in training; x in evaluation. Draws from torch's global generator, seeded every step."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        return torch.add(x, torch.randn_like(x), alpha=self.sigma) if self.training and self.sigma else x
