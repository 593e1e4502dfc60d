"""The projected discriminator (Sauer et al. 2021): frozen features, mixed across channels and scales, judged by light heads.

The frozen part and the random mixing never learn; heads are what the discriminator's optimiser moves. No norms in the heads:
with relativistic pairs and zero-centred penalties on the mixed features they need none.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.networks.efficientnet import TAP_CHANNELS, FrozenEfficientNet

MIXED_CHANNELS = (64, 64, 128, 256)  # after mixing, finest first
Maps = list[Tensor]  # one a scale, finest first
HEAD_WIDTH, HEAD_MAX_WIDTH = 64, 256
SMALLEST_SIDE = 64  # smaller pictures are doubled first: at 32 the coarsest map would be a single place


class ProjectedFeatures(nn.Module):
    """Picture [N, 1 or 3, s, s] in [-1, 1] -> four mixed maps [N, MIXED_CHANNELS[k], ...], finest first.

    Cross-channel mixing is a random 1x1 a map, cross-scale mixing adds what a random 3x3 makes of the coarser map
    (sections 3.2 and 4); both keep the variance and are drawn from `generator` once.
    """

    def __init__(self, network: FrozenEfficientNet, generator: torch.Generator) -> None:
        super().__init__()
        self.network = network
        pairs = zip(TAP_CHANNELS, MIXED_CHANNELS, strict=True)
        self.across_channels = nn.ModuleList(_random(i, o, 1, generator) for i, o in pairs)
        steps = zip(MIXED_CHANNELS[1:], MIXED_CHANNELS[:-1], strict=True)
        self.across_scales = nn.ModuleList(_random(i, o, 3, generator) for i, o in steps)
        self.requires_grad_(False)

    def forward(self, picture: Tensor) -> Maps:
        """Gradients flow to the picture, to nothing else."""
        seen = picture if picture.shape[1] == 3 else picture.expand(-1, 3, -1, -1)
        if seen.shape[2] < SMALLEST_SIDE:
            seen = F.interpolate(
                seen, scale_factor=SMALLEST_SIDE // seen.shape[2], mode="bilinear", align_corners=False
            )
        maps = [mix(found) for mix, found in zip(self.across_channels, self.network(seen), strict=True)]
        for index in (2, 1, 0):
            coarser = self.across_scales[index](maps[index + 1])
            maps[index] = maps[index] + F.interpolate(coarser, scale_factor=2, mode="bilinear", align_corners=False)
        return maps


class HeadOutput(NamedTuple):
    """A head's logit [N], and of which class it takes the picture to be [N, K], where it was asked to learn that."""

    logit: Tensor
    classes: Tensor | None = None


class Head(nn.Module):
    """One mixed map [N, C, s, s] (and one-hot [N, K]) -> logit [N]: halved to 4x4, a 3x3, a product; labels by projection.

    With `auxiliary` it also tells the class (Odena et al. 2017); that answer never sees the label.
    """

    def __init__(self, channels: int, side: int, labels: int, auxiliary: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = HEAD_WIDTH
        while side > 4:
            layers += [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
            channels, width, side = width, min(2 * width, HEAD_MAX_WIDTH), side // 2
        self.body = nn.Sequential(*layers, nn.Conv2d(channels, width, 3, 1, 1), nn.LeakyReLU(0.2))
        self.score = nn.Conv2d(width, 1, side)
        self.embedding = nn.Linear(labels, width, bias=False) if labels else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0.0, 0.02)
        self.classifier = nn.Linear(width, labels) if auxiliary else None

    def forward(self, seen: Tensor, label: Tensor | None = None) -> HeadOutput:
        """The logit; with labels plus <mean of the last map, V y> (Miyato and Koyama 2018)."""
        x = self.body(seen)
        mean = x.mean((2, 3))
        logit: Tensor = self.score(x).flatten()
        if self.embedding is not None and label is not None:
            logit = logit + (mean * self.embedding(label)).sum(1)
        return HeadOutput(logit, None if self.classifier is None else self.classifier(mean))


class Heads(nn.Module):
    """The four heads: mixed maps (and labels) -> four outputs."""

    def __init__(self, size: int, labels: int = 0, auxiliary: bool = False) -> None:
        super().__init__()
        side = max(size, SMALLEST_SIDE) // 4
        self.heads = nn.ModuleList(
            Head(channels, side >> k, labels, auxiliary) for k, channels in enumerate(MIXED_CHANNELS)
        )

    def forward(self, maps: Maps, label: Tensor | None = None) -> list[HeadOutput]:
        """One output a head, finest map first."""
        return [cast(HeadOutput, head(seen, label)) for head, seen in zip(self.heads, maps, strict=True)]


def _random(inputs: int, outputs: int, kernel: int, generator: torch.Generator) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    with torch.no_grad():
        layer.weight.normal_(0.0, math.sqrt(1.0 / (inputs * kernel * kernel)), generator=generator)
    return layer
