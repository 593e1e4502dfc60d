"""The networks of the semi-supervised experiments (Salimans et al. 2016, section 5 and the released code).

MNIST: a fully connected classifier with Gaussian noise before every layer, and a softplus generator (ours is centred).
CIFAR-10: nine weight-normalised convolutions with global average pooling, and a generator of three 5x5 fractionally
strided layers.
A classifier has K outputs; the class "generated" has its logit fixed at 0.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.networks import weight_norm
from training.networks.layers import Block, Projection, upsampling
from training.networks.mlp import ToPicture
from training.networks.noise import GaussianNoise
from training.networks.scaled_linear import ScaledLinear
from training.networks.start import initialise_linear
from training.networks.weight_norm import WEIGHT, normalise
from training.recipes.tables import SemiSupervisedTable, TechniqueTable

SLOPE = 0.2
CONTRAST = 4.0  # length of each pixel's weights at the start: logits then spread by about 2, as ink and paper need
FAINT = 0.1  # deviation of the first CIFAR samples before their tanh, as released
DARKEST = 0.02  # a pixel that is always 0 or 1 in the data starts this far from it


class Classified(NamedTuple):
    """Logits [N, K] and the features [N, F] that feature matching compares: the last hidden layer."""

    classes: Tensor
    features: Tensor


class MlpClassifier(nn.Module):
    """Picture [N, C, size, size] in [-1, 1] -> Classified."""

    def __init__(
        self, table: SemiSupervisedTable, technique: TechniqueTable, size: int, channels: int, classes: int
    ) -> None:
        super().__init__()
        widths = [channels * size * size, *table.discriminator]
        layers: list[nn.Module] = [GaussianNoise(technique.input_noise)]
        for inputs, outputs in pairwise(widths):
            layers += [ScaledLinear(inputs, outputs), nn.ReLU(inplace=True), GaussianNoise(table.hidden_noise)]
        self.hidden, self.noise = nn.Sequential(*layers[:-1]), layers[-1]  # features are matched before their noise
        self.head = ScaledLinear(widths[-1], classes)

    def features(self, picture: Tensor) -> Tensor:
        """The last hidden layer [N, F]."""
        features: Tensor = self.hidden((picture.flatten(1) + 1.0) * 0.5)
        return features

    def forward(self, picture: Tensor, label: Tensor | None = None) -> Classified:
        """See the class; the label is not used."""
        features = self.features(picture)
        return Classified(self.head(self.noise(features)), features)


class ConvolutionalClassifier(nn.Module):
    """Picture [N, C, 32, 32] -> Classified: the CIFAR-10 network; `discriminator` gives (first, later) channels."""

    def __init__(
        self, table: SemiSupervisedTable, technique: TechniqueTable, size: int, channels: int, classes: int
    ) -> None:
        super().__init__()
        first, later = table.discriminator[0], table.discriminator[-1]
        self.layers = nn.Sequential(
            GaussianNoise(technique.input_noise),
            nn.Dropout2d(0.2 if table.dropout else 0.0),
            *_stage(channels, first),
            nn.Dropout(table.dropout),
            *_stage(first, later),
            nn.Dropout(table.dropout),
            *_convolution(later, later, 3, 1, 0),
            *_convolution(later, later, 1, 1, 0),
            *_convolution(later, later, 1, 1, 0),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(later, classes)

    def features(self, picture: Tensor) -> Tensor:
        """Globally averaged answer of the last convolution [N, F]."""
        features: Tensor = self.layers(picture)
        return features

    def forward(self, picture: Tensor, label: Tensor | None = None) -> Classified:
        """See the class; the label is not used."""
        features = self.features(picture)
        return Classified(self.head(features), features)


def _stage(inputs: int, width: int) -> list[nn.Module]:
    """Three 3x3 convolutions, the last of which halves the side."""
    return [
        *_convolution(inputs, width, 3, 1, 1),
        *_convolution(width, width, 3, 1, 1),
        *_convolution(width, width, 3, 2, 1),
    ]


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.LeakyReLU(SLOPE)]


class CentredSoftplus(nn.Module):
    """log(1 + e^x) - log 2: 0 at 0.

    Plain softplus answers are all positive, so one step of Adam moves every pixel's weights the same way at once; the
    sigmoids saturate within ten steps and all samples become one picture.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        return F.softplus(x) - math.log(2.0)


class SoftplusGenerator(nn.Module):
    """Noise [N, Z] -> picture [N, C, size, size]: BatchNorm without gain and softplus, sigmoid at the end (MNIST)."""

    def __init__(self, table: SemiSupervisedTable, size: int, channels: int, noise: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = [noise, *table.generator]
        for inputs, outputs in pairwise(widths):
            norm = nn.BatchNorm1d(outputs)
            norm.weight.requires_grad_(False)
            layers += [nn.Linear(inputs, outputs, bias=False), norm, CentredSoftplus()]
        self.hidden = nn.Sequential(*layers)
        self.output = ScaledLinear(widths[-1], channels * size * size)
        self.picture = nn.Sequential(nn.Sigmoid(), ToPicture(size, channels))

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """See the class; the label is not used."""
        picture: Tensor = self.picture(self.output(self.hidden(noise)))
        return picture

    @torch.no_grad()
    def start_from_data(self, pictures: Tensor) -> None:
        """The output's biases: those that draw the mean of pictures [N, C, size, size], so that no pixel saturates."""
        mean = (pictures.flatten(1).mean(0) + 1.0) * 0.5
        self.output.bias.copy_(mean.clamp(DARKEST, 1.0 - DARKEST).logit())


class StridedGenerator(nn.Module):
    """Noise [N, Z] -> picture [N, C, 32, 32]: 4x4, then 5x5 fractionally strided layers (the CIFAR-10 network)."""

    def __init__(self, table: SemiSupervisedTable, size: int, channels: int, noise: int) -> None:
        super().__init__()
        widths = table.generator
        self.project = Block(Projection(noise, widths[0]), _centring(widths[0]), nn.ReLU())
        self.blocks = nn.Sequential(
            *(
                Block(upsampling(inputs, outputs, "deconv", 5, bias=False), _centring(outputs), nn.ReLU())
                for inputs, outputs in pairwise(widths)
            )
        )
        self.output = nn.Sequential(upsampling(widths[-1], channels, "deconv", 5, bias=True), nn.Tanh())
        if 4 * 2 ** len(widths) != size:
            raise ValueError(f"{len(widths)} widths make pictures of {4 * 2 ** len(widths)}, not {size}")

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """See the class; the label is not used."""
        picture: Tensor = self.output(self.blocks(self.project(noise)))
        return picture

    @torch.no_grad()
    def start_from_noise(self, noise: Tensor) -> None:
        """The output's gains and biases: before the tanh, mean 0 and deviation 0.1 for noise [N, Z]."""
        weight_norm.start_from_data(self, noise)
        for layer in weight_norm.normalised_layers(self):
            layer.get_parameter(f"{WEIGHT}.original0").mul_(FAINT)
            layer.get_parameter("bias").mul_(FAINT)


def _centring(channels: int) -> nn.BatchNorm2d:
    """BatchNorm whose gain stays 1, as released: the ReLU and the next layer's weights take any scale."""
    norm = nn.BatchNorm2d(channels)
    norm.weight.requires_grad_(False)
    return norm


class ClassifierGraph(nn.Module):
    """A classifier as it is shipped: picture -> (logits [N, K], features [N, F])."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        answer: Classified = self.classifier(picture)
        return answer.classes, answer.features


def start_generator(network: SoftplusGenerator | StridedGenerator, generator: torch.Generator) -> None:
    """Glorot for linear layers, N(0, .05) for convolutions; the last layer of either network is weight-normalised."""
    initialise_linear(network, generator)
    _normal(network, (nn.ConvTranspose2d,), 0.05, generator)
    if isinstance(network, SoftplusGenerator):
        normalise(network.output).get_parameter(f"{WEIGHT}.original0").data.fill_(CONTRAST)
    else:
        normalise(network.output[0])


def start_classifier(network: nn.Module, deviation: float, generator: torch.Generator) -> None:
    """N(0, deviation) everywhere. Weight norm hides the length of these weights but not how fast Adam turns them:

    a step of the learning rate turns a long vector less. Glorot's lengths, a third of the released 0.1, never settled.
    """
    _normal(network, (nn.Linear, nn.Conv2d), deviation, generator)


def _normal(network: nn.Module, kinds: tuple[type[nn.Module], ...], deviation: float, source: torch.Generator) -> None:
    for module in network.modules():
        if isinstance(module, kinds):
            nn.init.normal_(module.get_parameter("weight"), 0.0, deviation, generator=source)
            if isinstance(module.bias, nn.Parameter):
                nn.init.zeros_(module.bias)


def normalise_classifier(network: MlpClassifier | ConvolutionalClassifier, learned_gains: bool = False) -> nn.Module:
    """Weight normalisation everywhere, in place; the last layer learns its gain, the others only if told to.

    Otherwise their gains come from the data and stay, as in the released code.
    """
    for module in list(network.modules()):
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            normalise(module, fixed_gain=module is not network.head and not learned_gains)
    return network
