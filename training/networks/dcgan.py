"""The DCGAN pair (Radford et al. 2016) at any size that halves well (`recipes/sizes.py`), with the recipe tables' options."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from training.networks.layers import Block, Projection, downsampling, make_norm, upsampling, with_label_planes
from training.networks.minibatch import MinibatchDiscrimination
from training.networks.noise import GaussianNoise
from training.recipes.sizes import Sides, base_of, halvings
from training.recipes.tables import DiscriminatorTable, GeneratorTable, TechniqueTable


def stage_widths(width: int, max_width: int, size: int | Sides) -> list[int]:
    """Channels at size/2, size/4, … down to the first map: width, 2*width, … never above max_width."""
    return [min(width * 2**stage, max_width) for stage in range(halvings(size))]


class DcganGenerator(nn.Module):
    """(noise [N, Z], label one-hot [N, K] or None) -> picture [N, C, *size] in [-1, 1]."""

    def __init__(self, table: GeneratorTable, size: int | Sides, channels: int, noise: int, labels: int = 0) -> None:
        super().__init__()
        widths = stage_widths(table.width, table.max_width, size)[::-1]
        planes = labels if table.labels == "layers" else 0
        self.label_planes = planes > 0
        self.project = Block(
            Projection(noise + labels, widths[0], base_of(size), bias=table.norm == "none"),
            make_norm(table.norm, widths[0], table.norm_affine),
            nn.ReLU(inplace=True),
        )
        self.blocks = nn.ModuleList(
            self._block(table, inputs + planes, outputs) for inputs, outputs in itertools.pairwise(widths)
        )
        last_norm = make_norm(table.norm, channels, table.norm_affine) if table.norm_at_output else nn.Identity()
        self.output = Block(
            upsampling(widths[-1] + planes, channels, table.upsample, table.kernel, bias=True), last_norm, nn.Tanh()
        )

    @staticmethod
    def _block(table: GeneratorTable, inputs: int, outputs: int) -> Block:
        layer = upsampling(inputs, outputs, table.upsample, table.kernel, bias=table.norm == "none")
        return Block(layer, make_norm(table.norm, outputs, table.norm_affine), nn.ReLU(inplace=True))

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Noise [N, Z] float32 and, where conditional, label [N, K] one-hot -> [N, C, *size] in [-1, 1]."""
        planes = label if self.label_planes else None
        x = self.project(noise if label is None else torch.cat([noise, label], 1))
        for block in self.blocks:
            x = block(with_label_planes(x, planes))
        picture: Tensor = self.output(with_label_planes(x, planes))
        return picture


class DiscriminatorOutput(NamedTuple):
    """What a discriminator says: logit [N] (positive = real), features [N, F], class logits [N, K] or None."""

    logit: Tensor
    features: Tensor
    classes: Tensor | None = None


class DcganDiscriminator(nn.Module):
    """Picture [N, C, *size] (and one-hot label [N, K]) -> DiscriminatorOutput.

    `features` is the last convolution's answer, flattened or averaged, before anything that looks at other pictures.
    """

    def __init__(
        self,
        table: DiscriminatorTable,
        size: int | Sides,
        channels: int,
        labels: int = 0,
        auxiliary: bool = False,
        technique: TechniqueTable = TechniqueTable(),
    ) -> None:
        super().__init__()
        widths = stage_widths(table.width, table.max_width, size)
        planes = labels if table.labels == "layers" else 0
        self.label_planes, self.average = planes > 0, table.pooling == "average"
        self.blocks = nn.ModuleList(
            self._block(table, inputs + planes, outputs, first=stage == 0)
            for stage, (inputs, outputs) in enumerate(zip([channels, *widths[:-1]], widths, strict=True))
        )
        self.feature_size = widths[-1] * (1 if self.average else math.prod(base_of(size)))
        self.noise, kernels = GaussianNoise(technique.input_noise), technique.minibatch_kernels
        self.minibatch = (
            MinibatchDiscrimination(self.feature_size, kernels, technique.minibatch_dims) if kernels else None
        )
        self.head = self._linear(table, self.feature_size + kernels, 1)
        projected = labels > 0 and table.labels == "projection"
        self.embedding = self._linear(table, labels, self.feature_size, bias=False) if projected else None
        self.classifier = self._linear(table, self.feature_size, labels) if auxiliary else None

    @staticmethod
    def _block(table: DiscriminatorTable, inputs: int, outputs: int, first: bool) -> Block:
        norm = "none" if first and not table.norm_at_input else table.norm
        layer = downsampling(inputs, outputs, table.kernel, norm == "none", table.spectral_norm)
        return Block(layer, make_norm(norm, outputs, table.norm_affine), nn.LeakyReLU(0.2, inplace=True))

    @staticmethod
    def _linear(table: DiscriminatorTable, inputs: int, outputs: int, bias: bool = True) -> nn.Module:
        layer = nn.Linear(inputs, outputs, bias=bias)
        return spectral_norm(layer) if table.spectral_norm else layer

    def features(self, picture: Tensor, label: Tensor | None = None) -> Tensor:
        """[N, C, *size] -> [N, feature_size], each row a function of its own picture in evaluation mode."""
        x, planes = self.noise(picture), label if self.label_planes else None
        for block in self.blocks:
            x = block(with_label_planes(x, planes))
        features: Tensor = x.mean((2, 3)) if self.average else x.flatten(1)
        return features

    def score(self, features: Tensor) -> Tensor:
        """Unconditional logit [N] of features [N, feature_size], with the batch's similarities where the recipe has them."""
        seen = features if self.minibatch is None else self.minibatch(features)
        logit: Tensor = self.head(seen).squeeze(1)
        return logit

    def forward(self, picture: Tensor, label: Tensor | None = None) -> DiscriminatorOutput:
        """The output on [N, C, *size] given one-hot [N, K] labels."""
        features = self.features(picture, label)
        logit = self.score(features)
        if self.embedding is not None and label is not None:  # projection: Miyato and Koyama 2018
            logit = logit + (features * self.embedding(label)).sum(1)
        classes = None if self.classifier is None else self.classifier(features)
        return DiscriminatorOutput(logit, features, classes)
