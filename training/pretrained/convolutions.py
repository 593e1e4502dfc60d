"""Convolutions of a frozen network in the form a processor computes fastest: the same answers in less time.

Padding is done by the convolution and not by a copy before it; convolutions by channel that stride stay in float32 under
autocast, because their backward pass in bf16 takes five times as long. With AMX lite0 and lite1 take two thirds of the time
(docs/experiments.md).
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Kind = TypeVar("Kind", bound=nn.Conv2d)


class StridedByChannel(nn.Conv2d):
    """A convolution by channel in float32 whatever autocast says, of pictures padded by `pads` (left, right, top, bottom)."""

    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [N, C, H, W] -> [N, C, h, w], float32."""
        with torch.autocast(pictures.device.type, enabled=False):
            return super().forward(F.pad(pictures.float(), self.pads))


def faster_convolutions(network: nn.Module) -> nn.Module:
    """Puts the faster form in place of each convolution that brings its own padding; names and weights stay."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d):
                setattr(parent, name, _faster(child))
    return network


def _faster(convolution: nn.Conv2d) -> nn.Conv2d:
    left, right, top, bottom = _pads(convolution)
    if left == right == top == bottom > 0:
        return _like(nn.Conv2d, convolution, left)
    if convolution.groups > 1 and max(convolution.stride) > 1:
        strided = _like(StridedByChannel, convolution, 0)
        strided.pads = (left, right, top, bottom)
        return strided
    return convolution


def _pads(convolution: nn.Conv2d) -> tuple[int, int, int, int]:
    """Of a padding layer within the convolution (left, right, top, bottom)."""
    layers = [layer for layer in convolution.children() if isinstance(layer, nn.ZeroPad2d)]
    return layers[0].padding if len(layers) == 1 else (0, 0, 0, 0)


def _like(kind: type[Kind], old: nn.Conv2d, padding: int) -> Kind:
    bias, stride = old.bias is not None, (old.stride[0], old.stride[1])
    size = (old.kernel_size[0], old.kernel_size[1])
    new = kind(old.in_channels, old.out_channels, size, stride, padding, groups=old.groups, bias=bias)
    new.weight, new.bias = old.weight, old.bias
    return new
