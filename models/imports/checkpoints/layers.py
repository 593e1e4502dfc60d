"""A generator as a list of layers with their weights: what a checkpoint is read into, and what ONNX is written from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.imports.options import Join

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Linear:
    """Weight [out, in], bias [out] or None."""

    weight: Array
    bias: Array | None


@dataclass(frozen=True)
class Conv:
    """Weight [out, in, kh, kw], stride 1; `padding` on all sides."""

    weight: Array
    bias: Array | None
    padding: int


@dataclass(frozen=True)
class ConvTranspose:
    """Weight [in, out, kh, kw]."""

    weight: Array
    bias: Array | None
    stride: int
    padding: int
    extra: int
    """Rows and columns added at the far ends (output padding)."""


@dataclass(frozen=True)
class BatchNorm:
    """Standing statistics and affine part, each [channels]."""

    weight: Array
    bias: Array
    mean: Array
    variance: Array
    epsilon: float


@dataclass(frozen=True)
class Prelu:
    """A learned slope [1] or [channels]."""

    slope: Array


@dataclass(frozen=True)
class Activation:
    """One of `options.ACTIVATIONS`; `slope` for `leaky`."""

    kind: str
    slope: float = 0.2


@dataclass(frozen=True)
class Upsample:
    """Nearest neighbour, twice the side."""

    factor: int = 2


@dataclass(frozen=True)
class Reshape:
    """To [n, channels, height, width]."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Embedding:
    """A table [classes, width] looked up by the label, then put before or after the latent or multiplied with it."""

    table: Array
    join: Join


Layer = Linear | Conv | ConvTranspose | BatchNorm | Prelu | Activation | Upsample | Reshape


@dataclass(frozen=True)
class Network:
    """Latent [n, latent] (and a label) through the layers, in order."""

    latent: int
    embedding: Embedding | None
    layers: tuple[Layer, ...]
