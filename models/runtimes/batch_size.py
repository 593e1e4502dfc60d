"""How many pictures at once: the smallest batch whose pictures cost hardly more than those of the best.

Small batches are answered sooner and are always full; large ones spread what a call costs over more pictures. Where
the two meet depends on graph and processor, so it is measured.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np

from models.manifest import Manifest
from models.runtimes.base import Runtime
from models.runtimes.invariance import probe_inputs

SMALLEST = 4
TOLERANCE = 1.03
"""A smaller batch may cost so much of the best one's price a picture."""
BESIDE_S = 0.0005
"""Processor seconds that a server spends on a batch whatever is in it. After every batch its code and data come back from
slower caches: 0.3 to 0.8 ms (32 callers, faces64; docs/experiments.md)."""
LONGEST_S = 0.05
"""Batches that take longer are not looked at: a picture that just missed one would wait as long."""
ROUNDS = 5


def best_batch(runtime: Runtime, manifest: Manifest, level: int, threads: int, largest: int) -> int:
    """Pictures at once for one level, at most `largest`."""
    inputs = probe_inputs(manifest, level, largest)

    def run(size: int) -> None:
        previous, noise, label = (None if x is None else np.ascontiguousarray(x[:size]) for x in inputs)
        runtime.run_level(level, previous, noise, label)

    # One thread's own time says what a batch costs on a busy machine, too; of several only the clock on the wall does.
    return chosen(measured(run, sizes_up_to(largest), time.thread_time if threads == 1 else time.perf_counter))


def sizes_up_to(largest: int) -> tuple[int, ...]:
    """4, 8, 16, ... and the largest itself."""
    doubled = (SMALLEST << k for k in range(largest.bit_length()))
    return (*(size for size in doubled if size < largest), largest)


def measured(run: Callable[[int], None], sizes: Sequence[int], clock: Callable[[], float]) -> dict[int, float]:
    """Median seconds of a batch of each size, in turns; sizes that would take too long are left out.

    Not the best: in a server, too, others use the caches.
    """
    took: dict[int, list[float]] = {}
    for _ in range(ROUNDS):
        for size in sizes:
            if took and size * min(took[sizes[0]]) > LONGEST_S * sizes[0]:
                break
            started = clock()
            run(size)
            took.setdefault(size, []).append(clock() - started)
    return {size: median(seconds) for size, seconds in took.items()}


def chosen(seconds: dict[int, float]) -> int:
    """The smallest size within the tolerance, given the seconds of a batch of each."""
    costs = {size: (took + BESIDE_S) / size for size, took in seconds.items()}
    return min(size for size, cost in costs.items() if cost <= TOLERANCE * min(costs.values()))
