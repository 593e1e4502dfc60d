"""What the strongest features of a discriminator see: guided backpropagation (Springenberg et al. 2015).

The gradient of one feature with respect to the picture, except that at every rectifier only positive gradients pass where
the input was positive. Shown for the maximal responses, as in Radford et al. 2016, figure 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.networks.dcgan import DcganDiscriminator


@dataclass(frozen=True)
class Seen:
    """For each chosen feature: its maximal pictures [F, P, C, H, W] and the guided gradients there, in [-1, 1]."""

    features: tuple[int, ...]
    pictures: Tensor
    gradients: Tensor

    def sheet(self) -> Tensor:
        """One row a feature: picture, gradient, picture, gradient, …; [F * 2P, C, H, W]."""
        return torch.stack([self.pictures, self.gradients], 2).flatten(0, 2)


def strongest(discriminator: DcganDiscriminator, pictures: Tensor, features: int = 6, shown: int = 5) -> Seen:
    """The last convolution's maps with the largest responses over the pictures, and what in the picture drives them."""
    responses = _maps(discriminator, pictures).flatten(2).amax(2)  # [N, maps]
    chosen = responses.amax(0).topk(features).indices
    rows = [pictures[responses[:, index].topk(shown).indices] for index in chosen]
    gradients = [guided(discriminator, row, int(index)) for row, index in zip(rows, chosen, strict=True)]
    return Seen(tuple(int(i) for i in chosen), torch.stack(rows), torch.stack([_visible(g) for g in gradients]))


def guided(discriminator: DcganDiscriminator, pictures: Tensor, feature: int) -> Tensor:
    """Guided gradient [N, C, H, W] of one map's largest response in each picture."""
    with _only_positive(discriminator):
        inputs = pictures.clone().requires_grad_(True)
        response = _maps(discriminator, inputs, grad=True)[:, feature].flatten(1).amax(1)
        (gradient,) = torch.autograd.grad(response.sum(), inputs)
    return gradient


def _maps(discriminator: DcganDiscriminator, pictures: Tensor, grad: bool = False) -> Tensor:
    with torch.set_grad_enabled(grad):
        x = pictures
        for block in discriminator.blocks:
            x = block(x)
    return x


class Guided(torch.autograd.Function):
    """A leaky rectifier forward; backward, positive gradients at positive inputs and nothing else."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float) -> Tensor:
        """See the class."""
        ctx.save_for_backward(x)
        return nn.functional.leaky_relu(x, slope)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """See the class."""
        (x,) = ctx.saved_tensors
        return gradients[0].clamp_min(0) * (x > 0), None


class GuidedRectifier(nn.Module):
    """`Guided` as a layer."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        out: Tensor = Guided.apply(x, self.slope)  # type: ignore[no-untyped-call]
        return out


@contextmanager
def _only_positive(discriminator: DcganDiscriminator) -> Iterator[None]:
    blocks: list[Any] = list(discriminator.blocks)
    kept = [block.activation for block in blocks]
    for block in blocks:
        block.activation = GuidedRectifier(block.activation.negative_slope)
    try:
        yield
    finally:
        for block, activation in zip(blocks, kept, strict=True):
            block.activation = activation


def _visible(gradients: Tensor) -> Tensor:
    """Each gradient scaled by its own largest value; 0 stays grey."""
    largest = gradients.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
    return gradients / largest
