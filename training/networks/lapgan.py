"""The nets of a Laplacian pyramid of GANs (Denton et al. 2015): the coarsest pair and the residual pairs.

`base` nets make the coarsest picture from a vector; `residual` nets add detail to an enlarged picture. Two builds each:
the paper's (fully connected; 7x7-7x7-5x5 at full resolution) and a modern one that works at the coarse resolution.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from training.methods.pyramid import DoubleHalfPixel
from training.networks.dcgan import DiscriminatorOutput
from training.networks.layers import Block, Projection
from training.recipes.tables import PyramidTable


class LabelPlane(nn.Module):
    """One-hot [N, K] -> linear -> one plane [N, 1, size, size] (CC-LAPGAN, section 3.1)."""

    def __init__(self, labels: int, size: int) -> None:
        super().__init__()
        self.linear, self.size = nn.Linear(labels, size * size), size

    def forward(self, label: Tensor) -> Tensor:
        """The plane of each row."""
        plane: Tensor = self.linear(label)
        return plane.view(-1, 1, self.size, self.size)


class FullBaseGenerator(nn.Module):
    """[N, Z] (beside one-hot [N, K]) -> hidden -> hidden -> [N, C, s, s], linear output (released code)."""

    def __init__(self, table: PyramidTable, size: int, channels: int, noise: int, labels: int) -> None:
        super().__init__()
        width, self.shape = table.base_width, (channels, size, size)
        second = nn.Sigmoid() if table.base_sigmoid else nn.ReLU()
        self.body = nn.Sequential(
            nn.Linear(noise + labels, width), nn.ReLU(), nn.Linear(width, width), second,
            nn.Linear(width, channels * size * size),
        )  # fmt: skip

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Noise [N, Z] and, where conditional, label [N, K] -> [N, C, s, s]."""
        picture: Tensor = self.body(noise if label is None else torch.cat([noise, label], 1))
        return picture.view(-1, *self.shape)


class ConvolutionalBaseGenerator(nn.Module):
    """[N, Z] -> [N, 2w, s/2, s/2] -> [N, w, s, s] -> [N, C, s, s] by tanh, BatchNorm between; a small DCGAN."""

    def __init__(self, table: PyramidTable, size: int, channels: int, noise: int, labels: int) -> None:
        super().__init__()
        width = table.base_width
        first = Projection(noise + labels, 2 * width, (size // 2, size // 2))
        self.project = Block(first, nn.BatchNorm2d(2 * width), nn.ReLU())
        self.rise = Block(nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.refine = Block(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.output = nn.Conv2d(width, channels, 3, 1, 1)

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Noise [N, Z] and, where conditional, label [N, K] -> [N, C, s, s] in [-1, 1]."""
        x = self.project(noise if label is None else torch.cat([noise, label], 1))
        return torch.tanh(self.output(self.refine(self.rise(x))))


class FullDiscriminator(nn.Module):
    """[N, C, s, s] flattened (beside one-hot [N, K]) -> hidden -> hidden -> logit, ReLU and dropout (released code)."""

    def __init__(self, table: PyramidTable, size: int, channels: int, labels: int) -> None:
        super().__init__()
        width, inputs = table.base_width // 2, channels * size * size + labels
        self.feature_size = width
        self.hidden = nn.Sequential(
            nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(table.dropout),
            nn.Linear(width, width), nn.ReLU(), nn.Dropout(table.dropout),
        )  # fmt: skip
        self.head = nn.Linear(width, 1)

    def forward(self, picture: Tensor, label: Tensor | None = None) -> DiscriminatorOutput:
        """DiscriminatorOutput on [N, C, s, s] given one-hot [N, K]."""
        flat = picture.flatten(1)
        features = self.hidden(flat if label is None else torch.cat([flat, label], 1))
        return DiscriminatorOutput(self.head(features).squeeze(1), features)


class PlainResidual(nn.Module):
    """(low [N, C, S, S], noise plane(, label)) -> 7x7 -> 7x7 -> 5x5 -> residual, ReLU, linear output (released code)."""

    def __init__(self, table: PyramidTable, size: int, channels: int, labels: int) -> None:
        super().__init__()
        width, inputs = table.width, channels + 1 + (1 if labels else 0)
        self.plane = LabelPlane(labels, size) if labels else None
        self.body = nn.Sequential(
            nn.Conv2d(inputs, width, 7, 1, 3), nn.ReLU(), nn.Conv2d(width, width, 7, 1, 3), nn.ReLU(),
            nn.Conv2d(width, channels, 5, 1, 2),
        )  # fmt: skip

    def forward(self, low: Tensor, noise: Tensor, label: Tensor | None) -> Tensor:
        """The residual [N, C, S, S] of low pictures of the same size."""
        planes = [low, noise] if self.plane is None or label is None else [low, noise, self.plane(label)]
        residual: Tensor = self.body(torch.cat(planes, 1))
        return residual


class ResidualUnit(nn.Module):
    """x + conv(relu(conv(x))): no norm, which conditional levels do not bear. `leak` is the slope below zero."""

    def __init__(self, width: int, leak: float) -> None:
        super().__init__()
        self.leak = leak
        self.first, self.second = nn.Conv2d(width, width, 3, 1, 1), nn.Conv2d(width, width, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, width, h, w] -> the same shape."""
        out: Tensor = x + self.second(F.leaky_relu(self.first(x), self.leak))
        return out


class SubpixelResidual(nn.Module):
    """(previous [N, C, h, w], noise plane [N, 1, 2h, 2w](, label)) -> residual [N, C, 2h, 2w] for any h, w.

    All convolutions but the painting one run at the coarse size, a quarter of the work; planes of the fine size enter as four
    coarse ones. Without `refine` every pixel of four comes from filters of its own, which leaves a checker.
    """

    def __init__(self, table: PyramidTable, size: int, channels: int, labels: int) -> None:
        super().__init__()
        width, self.leak = table.width, table.leak
        self.plane = LabelPlane(labels, size) if labels else None
        self.input = nn.Conv2d(channels + 4 + (4 if labels else 0), width, 3, 1, 1)
        self.units = nn.Sequential(*(ResidualUnit(width, table.leak) for _ in range(table.units)))
        self.output = nn.Conv2d(width, 4 * (table.refine or channels), 3, 1, 1)
        self.refine = nn.Conv2d(table.refine, channels, 3, 1, 1) if table.refine else None

    def forward(self, previous: Tensor, noise: Tensor, label: Tensor | None) -> Tensor:
        """The residual that belongs on the doubled picture."""
        planes = [previous, F.pixel_unshuffle(noise, 2)]
        if self.plane is not None and label is not None:
            planes.append(F.pixel_unshuffle(self.plane(label), 2))
        x = F.leaky_relu(self.input(torch.cat(planes, 1)), self.leak)
        fine = F.pixel_shuffle(self.output(F.leaky_relu(self.units(x), self.leak)), 2)
        return fine if self.refine is None else self.refine(F.leaky_relu(fine, self.leak))

    def begin_quietly(self) -> None:
        """Makes the first residuals small: a level begins as little more than its enlargement."""
        with torch.no_grad():
            self.output.weight.mul_(0.05)


class ResidualLevel(nn.Module):
    """One whole level, as it is exported: (previous, noise[, label]) -> u(previous) + residual."""

    def __init__(self, enlarge: nn.Module, residual: PlainResidual | SubpixelResidual) -> None:
        super().__init__()
        self.enlarge = enlarge
        self.residual: PlainResidual | SubpixelResidual = residual

    def forward(self, previous: Tensor, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Previous picture [N, C, s, s] and noise plane [N, 1, S, S] -> [N, C, S, S], never clipped."""
        low: Tensor = self.enlarge(previous)
        return low + self.detail(previous, low, noise, label)

    def detail(self, previous: Tensor, low: Tensor, noise: Tensor, label: Tensor | None) -> Tensor:
        """The residual alone, for callers that choose the arithmetic of the convolutions but not of the pyramid."""
        source = previous if isinstance(self.residual, SubpixelResidual) else low
        residual: Tensor = self.residual(source, noise, label)
        return residual

    @property
    def halo(self) -> int:
        """Input pixels around a tile that reach into its output; 0 for a level of fixed size."""
        residual: nn.Module = self.residual
        if isinstance(self.enlarge, DoubleHalfPixel) and isinstance(residual, SubpixelResidual):
            return 2 + 2 * len(residual.units) + (residual.refine is not None)
        return 0


class PlainDiscriminator(nn.Module):
    """Picture l+h(, label plane) -> 5x5 valid -> 5x5 stride 2 -> dropout -> logit; ReLU, no norm (released code)."""

    def __init__(self, table: PyramidTable, size: int, channels: int, labels: int) -> None:
        super().__init__()
        width, side = table.discriminator_width, (size - 4 - 5) // 2 + 1
        self.plane = LabelPlane(labels, size) if labels else None
        self.feature_size = width * side * side
        self.body = nn.Sequential(
            nn.Conv2d(channels + (1 if labels else 0), width, 5), nn.ReLU(),
            nn.Conv2d(width, width, 5, 2), nn.ReLU(), nn.Flatten(), nn.Dropout(table.dropout),
        )  # fmt: skip
        self.head = nn.Linear(self.feature_size, 1)

    def forward(self, picture: Tensor, label: Tensor | None = None) -> DiscriminatorOutput:
        """DiscriminatorOutput on the SUM of low-pass and residual [N, C, S, S], never on the residual alone."""
        seen = picture if self.plane is None or label is None else torch.cat([picture, self.plane(label)], 1)
        features = self.body(seen)
        return DiscriminatorOutput(self.head(features).squeeze(1), features)


class StridedDiscriminator(nn.Module):
    """Picture l+h -> 4x4 stride 2 down to about 4x4 -> logit + class projection; spectral norm throughout or nowhere.

    `patches` scores every place and averages: a discriminator of texture, for pictures that are crops of larger ones.
    """

    def __init__(self, table: PyramidTable, size: int, channels: int, labels: int, width: int | None = None) -> None:
        super().__init__()
        width = width or table.discriminator_width
        halvings = max(1, (size // 4).bit_length() - 1)
        widths = [min(width * 2**k, 4 * width) for k in range(halvings)]
        bound = spectral_norm if table.spectral_norm else _as_it_is
        layers: list[nn.Module] = []
        if halvings == 1:  # at 8x8 a look at full resolution costs next to nothing
            layers = [bound(nn.Conv2d(channels, widths[0], 3, 1, 1)), nn.LeakyReLU(0.2)]
        first = widths[0] if layers else channels
        for inputs, outputs in zip([first, *widths[:-1]], widths, strict=True):
            layers += [bound(nn.Conv2d(inputs, outputs, 4, 2, 1)), nn.LeakyReLU(0.2)]
        for _ in range(table.head_convolutions):
            layers += [bound(nn.Conv2d(widths[-1], widths[-1], 3, 1, 1)), nn.LeakyReLU(0.2)]
        self.body, self.patches = nn.Sequential(*layers), table.patches
        side = size // 2**halvings
        self.feature_size = widths[-1] * (1 if self.patches else side * side)
        self.head = bound(nn.Linear(self.feature_size, 1))
        self.embedding = bound(nn.Linear(labels, self.feature_size, bias=False)) if labels else None

    def forward(self, picture: Tensor, label: Tensor | None = None) -> DiscriminatorOutput:
        """DiscriminatorOutput on the SUM of low-pass and residual [N, C, S, S] given one-hot [N, K]."""
        x = self.body(picture)
        features = x.mean((2, 3)) if self.patches else x.flatten(1)
        logit = self.head(features).squeeze(1)
        if self.embedding is not None and label is not None:  # projection: Miyato and Koyama 2018
            logit = logit + (features * self.embedding(label)).sum(1)
        return DiscriminatorOutput(logit, features)

    def begin_quietly(self) -> None:
        """Makes what classes add to the logit small: large at random, it must be unlearnt before pictures count."""
        if self.embedding is not None:
            with torch.no_grad():
                free_weight(self.embedding).mul_(0.01)


def free_weight(layer: nn.Module) -> nn.Parameter:
    """The parameter behind a layer's weight, spectral norm or not."""
    name = "parametrizations.weight.original" if nn.utils.parametrize.is_parametrized(layer) else "weight"
    return layer.get_parameter(name)


def _as_it_is(layer: nn.Module) -> nn.Module:
    return layer
