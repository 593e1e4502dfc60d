"""Puts blocks in a row as layers, with one choice of geometry each, and follows the size of what flows through them."""

import math
from collections.abc import Sequence

import numpy as np

from models.errors import ImportRefusedError
from models.imports.checkpoints.blocks import HELP, Block
from models.imports.checkpoints.geometry import Choice
from models.imports.checkpoints.layers import (
    Activation,
    BatchNorm,
    Conv,
    ConvTranspose,
    Layer,
    Linear,
    Prelu,
    Reshape,
    Upsample,
)
from models.imports.checkpoints.style import Style


class Walk:
    """The layers so far and the shape after them: `channels` numbers, or a picture where `height` is not 0.

    `shape` [height, width] of the final picture, if the user said it, gives the first picture's proportions.
    """

    def __init__(self, blocks: Sequence[Block], choices: Sequence[Choice], style: Style, shape: tuple[int, int] | None):
        self.layers: list[Layer] = []
        self.channels = self.height = self.width = 0
        self._blocks, self._choices, self._style, self._shape = blocks, choices, style, shape

    def go(self) -> "Walk":
        """Take all blocks. Raises ImportRefusedError that names the module which does not fit."""
        for k, (block, choice) in enumerate(zip(self._blocks, self._choices, strict=True)):
            if block.weight.ndim == 4:
                self._enter(block, choice, first=k == 0)
                self._convolve(block, choice)
            else:
                self._multiply(block)
            self._finish(k)
        return self

    def _enter(self, block: Block, choice: Choice, *, first: bool) -> None:
        """Numbers become a picture before the first convolution; a picture is enlarged where that was chosen."""
        taken = block.weight.shape[0 if choice.transposed else 1]
        if first:
            self._reshape(taken, 1, 1)
        elif not self.height:
            self._become_picture(taken)
        if choice.enlarge:
            self.layers.append(Upsample())
            self.height, self.width = 2 * self.height, 2 * self.width

    def _become_picture(self, channels: int) -> None:
        area, rest = divmod(self.channels, channels)
        ratio = self._shape[0] / self._shape[1] if self._shape else 1.0
        height = max(1, round(math.sqrt(area * ratio)))
        if rest or area % height:
            hint = HELP if rest else "; say the size of the final picture, such as --size 64x96"
            raise ImportRefusedError(f"{self.channels} numbers are no square picture of {channels} channels{hint}")
        self._reshape(channels, height, area // height)

    def _reshape(self, channels: int, height: int, width: int) -> None:
        self.layers.append(Reshape(channels, height, width))
        self.channels, self.height, self.width = channels, height, width

    def _convolve(self, block: Block, choice: Choice) -> None:
        weight, bias = block.weight, block.module.tensors.get("bias")
        taken, given = weight.shape[:2] if choice.transposed else weight.shape[1::-1]
        if taken != self.channels:
            raise ImportRefusedError(f"{block.module.path} takes {taken} channels but is given {self.channels}{HELP}")
        stride, padding, extra = choice.geometry
        made = ConvTranspose(weight, bias, stride, padding, extra) if choice.transposed else Conv(weight, bias, padding)
        self.layers.append(made)
        self.channels = given
        self.height = choice.side(self.height, weight.shape[2])
        self.width = choice.side(self.width, weight.shape[3])

    def _multiply(self, block: Block) -> None:
        if self.height:
            raise ImportRefusedError(f"{block.module.path} is a linear layer after a convolution{HELP}")
        if self.layers and block.weight.shape[1] != self.channels:
            raise ImportRefusedError(
                f"{block.module.path} takes {block.weight.shape[1]} numbers but is given {self.channels}{HELP}"
            )
        self.layers.append(Linear(block.weight, block.module.tensors.get("bias")))
        self.channels = len(block.weight)

    def _finish(self, k: int) -> None:
        """Norm and activation after a block's weights."""
        block, last = self._blocks[k], k == len(self._blocks) - 1
        active: Layer = Prelu(block.prelu.tensors["weight"]) if block.prelu else self._style.activation
        if block.norm is not None:
            self._append(active if block.early else None)
            self._normalise(block)
        if last:
            self._append(self._style.last)
        elif not block.early and self._is_activated(k):
            self._append(active)

    def _append(self, layer: Layer | None) -> None:
        if layer is not None and not (isinstance(layer, Activation) and layer.kind == "none"):
            self.layers.append(layer)

    def _is_activated(self, k: int) -> bool:
        """Whether an activation follows block `k`: told by the gap before the next, else yes.

        Raises ImportRefusedError where more layers without weights follow a convolution than an activation.
        """
        block, following = self._blocks[k], self._blocks[k + 1]
        if self.height and block.norm is None and (following.gap or 0) > (2 if self._choices[k + 1].enlarge else 1):
            raise ImportRefusedError(
                f"{following.gap} layers without weights lie between {block.module.path} and {following.module.path}; one may be "
                f"an InstanceNorm, which would change every picture{HELP}"
            )
        if block.prelu is not None:
            return True
        if following.gap is None:
            return not block.becomes_picture
        return following.gap >= (2 if self._choices[k + 1].enlarge else 1)

    def _normalise(self, block: Block) -> None:
        assert block.norm is not None
        if block.becomes_picture:
            self._become_picture(block.normed)
        if block.normed != self.channels:
            raise ImportRefusedError(
                f"{block.norm.path} normalises {block.normed} channels but is given {self.channels}{HELP}"
            )
        tensors, ones = block.norm.tensors, np.ones(block.normed, np.float32)
        epsilon = self._style.first_epsilon if block.becomes_picture else self._style.epsilon
        weight, bias = tensors.get("weight", ones), tensors.get("bias", 0 * ones)
        self.layers.append(BatchNorm(weight, bias, tensors["running_mean"], tensors["running_var"], epsilon))
