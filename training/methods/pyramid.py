"""The Laplacian pyramid's operators as torch modules: the matrices of `models.mathematics.pyramid` as buffers.

Training, sampling and the exported graph use these modules and nothing else, so what reconstructs in one reconstructs
in all (LAPGAN, section 2.2; ../shared/gan-methods.md, section 7.2).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.mathematics.pyramid import enlarge_matrix, reduce_matrix

Operator = Literal["corner-aligned", "half-pixel"]


class Resize(nn.Module):
    """[N, C, s, s] -> [N, C, t, t] by one matrix an axis, float32; square pictures."""

    matrix: Tensor

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, picture: Tensor) -> Tensor:
        """matrix @ picture @ matrix.T for every plane."""
        return self.matrix @ picture @ self.matrix.T


class DoubleHalfPixel(nn.Module):
    """[N, C, h, w] -> [N, C, 2h, 2w] for any h and w: `models.mathematics.pyramid.double`, a fixed convolution.

    The same everywhere in the picture, so a tile with a margin of one pixel gives what the whole picture gives.
    """

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        near, far = 0.75, 0.25
        even, odd = torch.tensor([far, near, 0.0]), torch.tensor([0.0, near, far])
        quads = torch.stack([torch.outer(rows, columns) for rows in (even, odd) for columns in (even, odd)])
        self.register_buffer("kernel", quads.unsqueeze(1).repeat(channels, 1, 1, 1), persistent=False)
        self.channels = channels

    def forward(self, picture: Tensor) -> Tensor:
        """Each pixel becomes a 2x2 block of weighted neighbours; the edge is repeated outward."""
        padded = F.pad(picture, (1, 1, 1, 1), mode="replicate")
        return F.pixel_shuffle(F.conv2d(padded, self.kernel, groups=self.channels), 2)


def reducer(source: int, target: int) -> nn.Module:
    """The pyramid's d(.): area averaging from side `source` to side `target`."""
    return nn.Identity() if source == target else Resize(torch.from_numpy(reduce_matrix(source, target).copy()))


def enlarger(operator: Operator, source: int, target: int, channels: int) -> nn.Module:
    """The pyramid's u(.) from side `source` to side `target`; half-pixel doubles and takes any size."""
    if operator == "half-pixel":
        if target != 2 * source:
            raise ValueError(f"the half-pixel operator doubles; {source} -> {target} needs corner-aligned")
        return DoubleHalfPixel(channels)
    return Resize(torch.from_numpy(enlarge_matrix(source, target).copy()))


class Pyramid(nn.Module):
    """Cuts pictures of the last of `sizes` into a Laplacian pyramid and puts them together again."""

    def __init__(self, sizes: tuple[int, ...], channels: int, operator: Operator = "corner-aligned") -> None:
        super().__init__()
        self.reducers = nn.ModuleList(reducer(sizes[-1], size) for size in sizes)
        self.enlargers = nn.ModuleList(enlarger(operator, *pair, channels) for pair in pairwise(sizes))

    def pictures(self, picture: Tensor) -> list[Tensor]:
        """The Gaussian side: [N, C, s, s] for each size, each reduced straight from the full picture."""
        return [reduce(picture) for reduce in self.reducers]

    def build(self, picture: Tensor) -> list[Tensor]:
        """[coarsest picture, residual, ..., finest residual]."""
        pictures = self.pictures(picture)
        steps = zip(self.enlargers, pairwise(pictures), strict=True)
        return [pictures[0], *(fine - enlarge(coarse) for enlarge, (coarse, fine) in steps)]

    def collapse(self, levels: list[Tensor]) -> Tensor:
        """The inverse of `build`."""
        picture = levels[0]
        for enlarge, residual in zip(self.enlargers, levels[1:], strict=True):
            picture = enlarge(picture) + residual
        return picture
