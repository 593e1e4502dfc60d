"""What the proof looks at before it lets pictures share batches of any size."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bundle import read_bundle
from models.runtimes import open_runtime
from models.runtimes.base import Array
from models.runtimes.invariance import FREE, bucket_for


class Flawed:
    """The real runtime, but in batches of more than `most` the last picture is a little different."""

    def __init__(self, folder: Path, most: int) -> None:
        self._inner, self._most = open_runtime(read_bundle(folder)), most
        self.sizes: list[int] = []

    def run_level(self, level: int, previous: Array | None, noise: Array | None, label: Array | None) -> Array:
        pictures = self._inner.run_level(level, previous, noise, label)
        self.sizes.append(len(pictures))
        if len(pictures) > self._most:
            pictures[-1] += np.float32(1e-3)
        return pictures


@pytest.mark.parametrize(("most", "largest", "bucket"), [(16, 16, FREE), (16, 17, 16), (40, 64, 16), (64, 64, FREE)])
def test_the_largest_batch_is_proved_too(bundle_folder: Path, most: int, largest: int, bucket: int) -> None:
    """With GANYMEDE_MAX_BATCH above sixteen: a level that mixes its rows only there is cut into batches of sixteen."""
    folder = bundle_folder / "tiny"
    flawed: Any = Flawed(folder, most)
    assert bucket_for(flawed, read_bundle(folder).manifest, 0, largest) == bucket
    assert max(flawed.sizes) == largest


@pytest.mark.parametrize("largest", [1, 6, 12])
def test_small_limits_are_proved_to_their_end(bundle_folder: Path, largest: int) -> None:
    """Nothing larger is run than will ever be asked for."""
    folder = bundle_folder / "tiny"
    flawed: Any = Flawed(folder, 16)
    assert bucket_for(flawed, read_bundle(folder).manifest, 0, largest) == FREE
    assert max(flawed.sizes) == largest
