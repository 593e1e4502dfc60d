"""`ganymede serve` with a generator that computes nothing: what is left is the server itself. Same words as `ganymede serve`."""

import sys

import numpy as np

from models import runtimes
from models.bundle import Bundle
from models.runtimes.base import Array, DiscriminatorOutput
from service.cli.main import main


class NullRuntime:
    """Answers every level with one prepared picture, repeated."""

    provider = "NullProvider"

    def __init__(self, bundle: Bundle, device: str = "cpu", threads: int = 1, device_index: int = 0) -> None:
        image = bundle.manifest.image
        ramp = np.linspace(-1, 1, image.channels * image.height * image.width, dtype=np.float32)
        self._picture = np.sin(40 * ramp).reshape(1, image.channels, image.height, image.width)

    def run_level(self, level: int, previous: Array | None, noise: Array | None, label: Array | None) -> Array:
        """The prepared picture, once for each row, without a copy."""
        count = len(next(x for x in (noise, previous) if x is not None))
        return np.broadcast_to(self._picture, (count, *self._picture.shape[1:]))

    def discriminate(self, images: Array, label: Array | None = None) -> DiscriminatorOutput:
        """Zeros."""
        return DiscriminatorOutput(np.zeros((len(images), 1), np.float32), np.zeros((len(images), 1), np.float32))

    def close(self) -> None:
        """Nothing is held."""


if __name__ == "__main__":
    runtimes.RUNTIMES["fake"] = NullRuntime
    sys.argv[1:1] = ["serve"]
    main()
