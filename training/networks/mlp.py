"""Fully connected pairs: Goodfellow et al. 2014 and, with a label, Mirza and Osindero 2014; the first GANs, for MNIST.

Both papers use a ReLU generator with a sigmoid output and a maxout discriminator with dropout. Pictures are [-1, 1] here
as everywhere, so the sigmoid's answer is stretched. The label joins the noise, and the picture, before the first layer.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from training.networks.dcgan import DiscriminatorOutput
from training.networks.minibatch import MinibatchDiscrimination
from training.networks.noise import GaussianNoise
from training.recipes.sizes import Sides, sides_of
from training.recipes.tables import MlpTable, TechniqueTable


class Maxout(nn.Module):
    """[N, inputs] -> [N, units]: the largest of `pieces` linear functions (Goodfellow et al. 2013)."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear, self.pieces = nn.Linear(inputs, units * pieces), pieces

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.linear(x)
        return out.view(x.shape[0], -1, self.pieces).amax(2)


class ToPicture(nn.Module):
    """[N, C * height * width] in [0, 1] -> picture [N, C, height, width] in [-1, 1]."""

    def __init__(self, size: int | Sides, channels: int) -> None:
        super().__init__()
        self.sides, self.channels = sides_of(size), channels

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return (2.0 * x - 1.0).view(-1, self.channels, *self.sides)


class MlpGenerator(nn.Module):
    """(noise [N, Z], label one-hot [N, K] or None) -> picture [N, C, *size] in [-1, 1]."""

    def __init__(self, table: MlpTable, size: int | Sides, channels: int, noise: int, labels: int = 0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = [noise + labels, *table.generator]
        for inputs, outputs in pairwise(widths):
            norm = [nn.BatchNorm1d(outputs)] if table.generator_norm else []
            layers += [nn.Linear(inputs, outputs), *norm, nn.ReLU()]
        self.layers = nn.Sequential(
            *layers,
            nn.Linear(widths[-1], channels * math.prod(sides_of(size))),
            nn.Sigmoid(),
            ToPicture(size, channels),
        )

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """See the class."""
        picture: Tensor = self.layers(noise if label is None else torch.cat([noise, label], 1))
        return picture


class MlpDiscriminator(nn.Module):
    """(picture [N, C, *size], label or None) -> DiscriminatorOutput; the features are the last hidden layer."""

    def __init__(
        self, table: MlpTable, technique: TechniqueTable, size: int | Sides, channels: int, labels: int = 0
    ) -> None:
        super().__init__()
        self.conditional = labels > 0
        layers: list[nn.Module] = []
        widths = [channels * math.prod(sides_of(size)) + labels, *table.discriminator]
        for inputs, outputs in pairwise(widths):
            layers += [*_hidden(inputs, outputs, table.pieces), nn.Dropout(table.dropout)]
        self.noise, self.hidden = GaussianNoise(technique.input_noise), nn.Sequential(*layers)
        self.feature_size = widths[-1]
        kernels = technique.minibatch_kernels
        self.minibatch = MinibatchDiscrimination(widths[-1], kernels, technique.minibatch_dims) if kernels else None
        self.head = nn.Linear(widths[-1] + kernels, 1)

    def features(self, picture: Tensor, label: Tensor | None = None) -> Tensor:
        """[N, feature_size], each row a function of its own picture in evaluation mode."""
        x = (self.noise(picture).flatten(1) + 1.0) * 0.5
        features: Tensor = self.hidden(x if label is None else torch.cat([x, label], 1))
        return features

    def score(self, features: Tensor) -> Tensor:
        """Logit [N] of features."""
        seen = features if self.minibatch is None else self.minibatch(features)
        logit: Tensor = self.head(seen).squeeze(1)
        return logit

    def forward(self, picture: Tensor, label: Tensor | None = None) -> DiscriminatorOutput:
        """See the class."""
        features = self.features(picture, label)
        return DiscriminatorOutput(self.score(features), features, None)


def _hidden(inputs: int, outputs: int, pieces: int) -> list[nn.Module]:
    if pieces > 1:
        return [Maxout(inputs, outputs, pieces)]
    return [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2)]
