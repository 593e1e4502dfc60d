"""A stronger generator of a DCGAN's cost: residual rises, skip-layer gates, a mapped latent, a smoothing last layer.

Each part is a switch of `GeneratorTable`; every layer with a norm is a `Block`, so that export folds them all.
"""

from __future__ import annotations

import itertools
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.networks.dcgan import stage_widths
from training.networks.layers import Block, Projection, make_norm, upsampling
from training.recipes.sizes import Sides, base_of
from training.recipes.tables import GeneratorTable

REFINED_SHARE = 2 / 3  # channels at full size, of those at half size


class Mapping(nn.Module):
    """Latent [N, Z] -> [N, Z]: normed to length sqrt(Z), then `layers` of linear and leaky ReLU (Karras et al. 2019)."""

    def __init__(self, size: int, layers: int) -> None:
        super().__init__()
        pairs = [(nn.Linear(size, size), nn.LeakyReLU(0.2)) for _ in range(layers)]
        self.body = nn.Sequential(*itertools.chain.from_iterable(pairs))

    def begin(self, generator: torch.Generator) -> None:
        """Weights that keep the variance: the networks' N(0, .02) would leave nothing of the latent."""
        for module in self.body:
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, 0.2, nonlinearity="leaky_relu", generator=generator)

    def forward(self, latent: Tensor) -> Tensor:
        """The mapped latent."""
        length = (latent.square().mean(1, keepdim=True) + 1e-8).sqrt()
        mapped: Tensor = self.body(latent / length)
        return mapped


class Gate(nn.Module):
    """Skip-layer excitation (FastGAN, Liu et al. 2021): a coarse map decides how much of each fine channel passes.

    (fine [N, F, H, W], coarse [N, C, h, w]) -> fine * 2 s(.), one number a channel; it begins near 1.
    """

    def __init__(self, coarse: int, fine: int, sides: Sides = (4, 4)) -> None:
        super().__init__()
        self.sides = sides  # coarser maps than these there are none: others are averaged down to them
        self.look, self.decide = nn.Conv2d(coarse, fine, sides), nn.Conv2d(fine, fine, 1)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """The gated fine map."""
        step = coarse.shape[-1] // self.sides[1]
        seen = coarse if step == 1 else F.avg_pool2d(coarse, step)
        passed: Tensor = 2.0 * torch.sigmoid(self.decide(F.leaky_relu(self.look(seen), 0.2)))
        return fine * passed


class Rise(nn.Module):
    """Twice the side: norm(up(x)), plus a 1x1 of x with every pixel repeated where residual, then ReLU."""

    def __init__(self, table: GeneratorTable, inputs: int, outputs: int) -> None:
        super().__init__()
        layer = upsampling(inputs, outputs, table.upsample, table.kernel, bias=table.norm == "none")
        self.main = Block(layer, make_norm(table.norm, outputs, table.norm_affine), nn.Identity())
        self.skip = nn.Conv2d(inputs, outputs, 1) if table.residual else None

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, h, w] -> [N, outputs, 2h, 2w]."""
        out = cast(Tensor, self.main(x))
        if self.skip is not None:
            out = out + F.interpolate(self.skip(x), scale_factor=2.0, mode="nearest")
        return F.relu(out)


class ModernGenerator(nn.Module):
    """(noise [N, Z], label one-hot [N, K] or None) -> picture [N, C, *size] in [-1, 1]."""

    def __init__(self, table: GeneratorTable, size: int | Sides, channels: int, noise: int, labels: int = 0) -> None:
        super().__init__()
        widths = stage_widths(table.width, table.max_width, size)[::-1]
        fine = max(1, round(widths[-1] * REFINED_SHARE)) if table.refine else channels
        self.mapping = Mapping(noise, table.mapping) if table.mapping else None
        self.project = Block(
            Projection(noise + labels, widths[0], base_of(size), bias=table.norm == "none"),
            make_norm(table.norm, widths[0], table.norm_affine),
            nn.ReLU(inplace=True),
        )
        self.rises = nn.ModuleList(Rise(table, *pair) for pair in itertools.pairwise(widths))
        self.last: nn.Module = upsampling(widths[-1], channels, table.upsample, table.kernel, bias=True)
        if table.refine:
            self.last = nn.Sequential(Rise(table, widths[-1], fine), nn.Conv2d(fine, channels, 3, 1, 1))
        # FastGAN's pairs: 4 -> 32 and, where there is such a map, 8 -> 64
        self.gates = nn.ModuleDict()
        for low in range(len(widths) - 3) if table.gates else ():
            self.gates[str(low + 3)] = Gate(widths[low], widths[low + 3], base_of(size))

    def begin(self, generator: torch.Generator) -> None:
        """The starts that differ from the DCGAN's, after it."""
        if self.mapping is not None:
            self.mapping.begin(generator)

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Noise [N, Z] float32 and, where conditional, label [N, K] one-hot -> [N, C, *size] in [-1, 1]."""
        latent = noise if self.mapping is None else self.mapping(noise)
        maps = [cast(Tensor, self.project(latent if label is None else torch.cat([latent, label], 1)))]
        for index, rise in enumerate(self.rises, 1):
            x = rise(maps[-1])
            if str(index) in self.gates:
                x = self.gates[str(index)](x, maps[index - 3])
            maps.append(x)
        return torch.tanh(self.last(maps[-1]))
