"""Virtual batch normalisation (Salimans et al. 2016, section 3.5): each picture against a fixed reference batch.

A picture x is normalised with the mean and the mean square of a reference batch of B pictures blended with its own:
mean = (B mean_ref + mean_x) / (B + 1), likewise the mean square; variance = mean square - mean^2. Statistics are
float32. In training the reference runs through the network before each batch; in evaluation its statistics are
buffers, so that a served picture never depends on its batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class VirtualBatchNorm(nn.Module):
    """[N, C, H, W] or [N, C] -> the same, normalised per channel against the reference."""

    reference_mean: Tensor
    reference_square: Tensor
    reference_count: Tensor

    def __init__(self, channels: int, affine: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps, self.measuring = eps, False
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("reference_mean", torch.zeros(channels))
        self.register_buffer("reference_square", torch.ones(channels))
        self.register_buffer("reference_count", torch.tensor(1.0))
        self._live: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalises; while `measuring`, x is the reference batch and its statistics are kept, gradients and all."""
        with torch.autocast(x.device.type, enabled=False):
            exact = x.float()
            mean, square = self._measure(exact) if self.measuring else self._blend(exact)
            variance = (square - mean.square()).clamp_min(0.0)
            out = (exact - mean) * (variance + self.eps).rsqrt()
            if self.weight is not None and self.bias is not None:
                shape = (1, -1) + (1,) * (x.dim() - 2)
                out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(x.dtype)

    def forget(self) -> None:
        """Drops the statistics that carry gradients; the buffers stay."""
        self._live = None

    def _measure(self, x: Tensor) -> tuple[Tensor, Tensor]:
        axes = [0, *range(2, x.dim())]
        self._live = x.mean(axes, keepdim=True), x.square().mean(axes, keepdim=True)
        with torch.no_grad():
            self.reference_mean.copy_(self._live[0].flatten())
            self.reference_square.copy_(self._live[1].flatten())
            self.reference_count.fill_(float(x.shape[0]))
        return self._live

    def _blend(self, x: Tensor) -> tuple[Tensor, Tensor]:
        axes, shape = tuple(range(2, x.dim())), (1, -1) + (1,) * (x.dim() - 2)
        own_mean = x.mean(axes, keepdim=True) if axes else x
        own_square = x.square().mean(axes, keepdim=True) if axes else x.square()
        if self.training and self._live is not None:
            mean, square = self._live
        else:
            mean, square = self.reference_mean.view(shape), self.reference_square.view(shape)
        share = 1.0 / (self.reference_count + 1.0)
        return mean + share * (own_mean - mean), square + share * (own_square - square)


def virtual_norms(network: nn.Module) -> list[VirtualBatchNorm]:
    """The network's virtual norms, possibly none."""
    return [module for module in network.modules() if isinstance(module, VirtualBatchNorm)]


def measure(network: nn.Module, run_reference: Callable[[], object]) -> None:
    """Runs the reference batch so that every virtual norm takes its statistics; does nothing without virtual norms."""
    norms = virtual_norms(network)
    if not norms:
        return
    for norm in norms:
        norm.measuring = True
    try:
        run_reference()
    finally:
        for norm in norms:
            norm.measuring = False


def forget(network: nn.Module) -> None:
    """Drops what `measure` kept for the gradient."""
    for norm in virtual_norms(network):
        norm.forget()
