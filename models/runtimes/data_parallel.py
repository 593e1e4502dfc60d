"""A batch on all cores at once: each computes whole pictures, alone, instead of its share of every layer.

Threads that share every layer meet after each and wait for the slowest; threads with pictures of their own meet once a batch.
faces64 on two cores: a batch of 16 takes 23 ms instead of 35 (docs/experiments.md).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from models.runtimes.base import Array, DiscriminatorOutput, Runtime

Inputs = tuple[Array | None, Array | None, Array | None]


class DataParallelRuntime:
    """Batches on `parts`, a runtime of one thread for each core; one picture on `whole`, which has them all.

    `parts` may be one runtime several times if its calls are thread-safe. Both kinds have to draw the same bytes, which is
    proved at load as for any runtime (`invariance`): a picture alone is of `whole`, beside others of a part.
    """

    def __init__(self, whole: Runtime, parts: Sequence[Runtime]) -> None:
        self._whole, self._parts = whole, tuple(parts)
        self._others = ThreadPoolExecutor(len(parts) - 1, "ganymede-part")
        self.provider = whole.provider

    def run_level(self, level: int, previous: Array | None, noise: Array | None, label: Array | None) -> Array:
        """See `Runtime.run_level`."""
        inputs = (previous, noise, label)
        count = next(len(rows) for rows in inputs if rows is not None)
        if count == 1:
            return self._whole.run_level(level, *inputs)
        first, *others = zip(self._parts, _shares(inputs, count, min(count, len(self._parts))), strict=False)
        running = [self._others.submit(part.run_level, level, *rows) for part, rows in others]
        part, rows = first
        pictures = part.run_level(level, *rows)
        return np.concatenate([pictures, *(each.result() for each in running)])

    def discriminate(self, images: Array, label: Array | None = None) -> DiscriminatorOutput:
        """See `Runtime.discriminate`."""
        return self._whole.discriminate(images, label)

    def close(self) -> None:
        """End the threads and close all runtimes."""
        self._others.shutdown()
        for runtime in {id(each): each for each in (self._whole, *self._parts)}.values():
            runtime.close()


def _shares(inputs: Inputs, count: int, parts: int) -> list[Inputs]:
    """`count` rows cut into parts that differ by one row at most."""
    ends = [count * k // parts for k in range(parts + 1)]
    return [_rows(inputs, start, end) for start, end in pairwise(ends)]


def _rows(inputs: Inputs, start: int, end: int) -> Inputs:
    previous, noise, label = (None if rows is None else rows[start:end] for rows in inputs)
    return previous, noise, label
