"""Parts the networks are made of: norms by name, down and up blocks, label planes, and the folding of BatchNorm.

A new norm is a row in NORMS; a layer that needs more than its input (a reference batch, labels) owns it as a buffer.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from training.networks.virtual_norm import VirtualBatchNorm

NormFactory = Callable[[int, bool], nn.Module]

NORMS: dict[str, NormFactory] = {
    "none": lambda channels, affine: nn.Identity(),
    "batch": lambda channels, affine: nn.BatchNorm2d(channels, affine=affine),
    "virtual": lambda channels, affine: VirtualBatchNorm(channels, affine=affine),
    "weight": lambda channels, affine: nn.Identity(),  # the layers themselves are normalised: weight_norm.normalise
    "instance": lambda channels, affine: nn.InstanceNorm2d(channels, affine=affine),
}


def make_norm(name: str, channels: int, affine: bool = True) -> nn.Module:
    """The norm of that name for [N, channels, H, W]; KeyError lists the names."""
    if name not in NORMS:
        raise KeyError(f"unknown norm '{name}'; one of {', '.join(NORMS)}")
    return NORMS[name](channels, affine)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """DCGAN's start: weights N(0, .02), norm gains N(1, .02), biases 0 (Radford et al. 2016, section 4)."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, 0.02, generator=generator)
        elif isinstance(module, (nn.BatchNorm2d, nn.InstanceNorm2d)) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02, generator=generator)
        bias = getattr(module, "bias", None)
        if isinstance(bias, nn.Parameter):
            nn.init.zeros_(bias)


def with_label_planes(x: Tensor, label: Tensor | None) -> Tensor:
    """[N, C, H, W] and one-hot [N, K] -> [N, C+K, H, W]: each class as a constant plane (Radford's MNIST nets)."""
    if label is None:
        return x
    planes = label.to(x.dtype)[:, :, None, None].expand(-1, -1, x.shape[2], x.shape[3])
    return torch.cat([x, planes], 1)


class Block(nn.Module):
    """layer -> norm -> activation; the unit BatchNorm folding works on."""

    def __init__(self, layer: nn.Module, norm: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.layer, self.norm, self.activation = layer, norm, activation

    def forward(self, x: Tensor) -> Tensor:
        """The block's answer to [N, C, H, W]."""
        out: Tensor = self.activation(self.norm(self.layer(x)))
        return out


class Projection(nn.Module):
    """Vector [N, Z] -> linear -> [N, C, *sides]: the fractionally strided first layer, written as a product."""

    def __init__(self, inputs: int, channels: int, sides: tuple[int, int] = (4, 4), bias: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, channels * sides[0] * sides[1], bias=bias)
        self.channels, self.sides = channels, sides

    def forward(self, z: Tensor) -> Tensor:
        """[N, Z] -> [N, C, *sides]."""
        out: Tensor = self.linear(z)
        return out.view(-1, self.channels, *self.sides)


def upsampling(inputs: int, outputs: int, kind: str, kernel: int, bias: bool) -> nn.Module:
    """Twice the side: "deconv" with kernel 4 or 5 (stride 2), or "resize" (nearest, then 3x3)."""
    if kind == "resize":
        return nn.Sequential(nn.Upsample(scale_factor=2.0), nn.Conv2d(inputs, outputs, 3, 1, 1, bias=bias))
    padding, extra = (2, 1) if kernel == 5 else (1, 0)
    return nn.ConvTranspose2d(inputs, outputs, kernel, 2, padding, output_padding=extra, bias=bias)


def downsampling(inputs: int, outputs: int, kernel: int, bias: bool, spectral: bool = False) -> nn.Module:
    """Half the side: a strided convolution with kernel 4 or 5, spectrally normalised on request."""
    layer = nn.Conv2d(inputs, outputs, kernel, 2, 2 if kernel == 5 else 1, bias=bias)
    return spectral_norm(layer) if spectral else layer


@torch.no_grad()
def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Writes every Block's BatchNorm (evaluation statistics) into the layer before it, in place; returns the network."""
    for block in [module for module in network.modules() if isinstance(module, Block)]:
        if isinstance(block.norm, nn.BatchNorm2d):
            _fold(block.layer, block.norm)
            block.norm = nn.Identity()
    return network


def _fold(layer: nn.Module, norm: nn.BatchNorm2d) -> None:
    scale, shift = _scale_and_shift(norm)
    inner: nn.Module = layer[-1] if isinstance(layer, nn.Sequential) else layer
    if isinstance(inner, Projection):
        repeat = inner.sides[0] * inner.sides[1]
        scale, shift = scale.repeat_interleave(repeat), shift.repeat_interleave(repeat)
        inner = inner.linear
    assert isinstance(inner, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))
    shape = [1] * inner.weight.dim()
    shape[1 if isinstance(inner, nn.ConvTranspose2d) else 0] = -1
    inner.weight.mul_(scale.view(shape))
    old_bias = torch.zeros_like(shift) if inner.bias is None else inner.bias
    inner.bias = nn.Parameter(old_bias * scale + shift, requires_grad=False)


def _scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var + norm.eps).rsqrt()
    scale = scale if norm.weight is None else scale * norm.weight
    shift = -norm.running_mean * scale
    return scale, shift if norm.bias is None else shift + norm.bias
