"""A deterministic runtime without weights: coloured squares that depend on the latent alone.

It lets the whole service, the page and the queue be developed and tested where no ONNX Runtime is installed.
"""

import numpy as np

from models.bundle import Bundle
from models.errors import RuntimeUnavailableError
from models.mathematics.pyramid import enlarge
from models.runtimes.base import Array, DiscriminatorOutput


class FakeRuntime:
    """Paints what the manifest promises: right shapes, values in -1..1, one picture per latent, nothing shared."""

    provider = "FakeProvider"

    def __init__(self, bundle: Bundle, device: str = "cpu", threads: int = 1, device_index: int = 0) -> None:
        self._manifest = bundle.manifest

    def run_level(self, level: int, previous: Array | None, noise: Array | None, label: Array | None) -> Array:
        """See `Runtime.run_level`."""
        info = self._manifest.levels[level]
        height, width = info.output
        if info.factor and previous is not None:
            height, width = previous.shape[2] * info.factor, previous.shape[3] * info.factor
        count = len(next(x for x in (noise, previous) if x is not None))
        squares = np.zeros((count, self._manifest.image.channels, height, width), np.float32)
        if noise is not None:
            squares += _board(noise.reshape(count, -1), squares.shape)
        if label is not None:
            shade = label @ np.linspace(-1, 1, label.shape[1], dtype=np.float32)
            squares[:, :, : max(1, height // 8)] = shade[:, None, None, None]
        return squares if previous is None else np.clip(enlarge(previous, height, width) + 0.1 * squares, -1, 1)

    def discriminate(self, images: Array, label: Array | None = None) -> DiscriminatorOutput:
        """See `Runtime.discriminate`."""
        discriminator = self._manifest.discriminator
        if discriminator is None:
            raise RuntimeUnavailableError(f"{self._manifest.name} has no discriminator")
        means = images.reshape(len(images), -1).mean(1, keepdims=True)
        ramp = np.arange(1, discriminator.feature_size + 1, dtype=np.float32)
        classes = np.arange(1, len(discriminator.classes or ("",)) + 1, dtype=np.float32)
        return DiscriminatorOutput(np.sin(means * classes), np.cos(means * ramp))

    def close(self) -> None:
        """Nothing is held."""


def _board(noise: Array, shape: tuple[int, ...]) -> Array:
    """A 4x4 board of squares whose colours are taken from each row's own numbers."""
    _, channels, height, width = shape
    folds = np.resize(np.arange(noise.shape[1]), channels * 16)
    board = np.tanh(noise[:, folds]).reshape(len(noise), channels, 4, 4)
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    return np.ascontiguousarray(board[:, :, rows][:, :, :, columns], np.float32)
