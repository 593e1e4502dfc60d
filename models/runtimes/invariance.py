"""Proof at load that a picture does not depend on the rest of its batch, level by level.

A matrix product may take another path for one row than for many, and then the last bit of a picture would depend on who
else was asking. The probe runs the same latents alone, in every slot and with other pictures beside them, and compares bytes.
"""

import numpy as np

from models.manifest import Level, Manifest
from models.mathematics.latents import cut, draw
from models.runtimes.base import Array, Runtime, one_hot

PROBE_SIZES = (1, 2, 3, 4, 5, 7, 8, 11, 16)
FREE = 0
"""The bucket of a level whose pictures are the same at every batch size: no padding is needed."""


def probe_inputs(manifest: Manifest, level: int, count: int) -> tuple[Array | None, Array | None, Array | None]:
    """Distinct inputs for one level: previous pictures, noise and labels, from seeds 0..count-1."""
    info = manifest.levels[level]
    rng = np.random.RandomState(level)
    previous = None
    if info.previous is not None:
        previous = rng.uniform(-1, 1, (count, manifest.image.channels, *info.previous)).astype(np.float32)
    noise = level_noise(manifest, info, level, count)
    label = None
    if info.label and manifest.labels:
        label = one_hot([k % len(manifest.labels) for k in range(count)], len(manifest.labels))
    return previous, noise, label


def level_noise(manifest: Manifest, info: Level, level: int, count: int) -> Array:
    """Noise of seeds 0..count-1 for one level; a plane of the output's size for a level that only upsamples."""
    if manifest.latent.cuts:
        return np.ascontiguousarray(cut(manifest.latent, draw(manifest.latent, range(count)))[level])
    return np.random.RandomState(level).standard_normal((count, 1, *info.output)).astype(np.float32)


def bucket_for(runtime: Runtime, manifest: Manifest, level: int, largest: int) -> int:
    """FREE when every batch size up to `largest` gives the same bytes, else the fixed batch every call is padded to.

    Falls back to a bucket of 1, one picture a call, when even a fixed batch mixes its rows.
    """
    distinct = min(largest, PROBE_SIZES[-1])
    inputs = probe_inputs(manifest, level, distinct)
    alone = np.concatenate([_run(runtime, level, inputs, [k]) for k in range(distinct)])
    if all(_same(runtime, level, inputs, alone, size) for size in probe_sizes(largest)):
        return FREE
    return _fixed_bucket(runtime, level, inputs, distinct)


def probe_sizes(largest: int) -> list[int]:
    """Batch sizes to try: of every kind up to sixteen, doubled from there on, and the largest itself."""
    doubled = (PROBE_SIZES[-1] << k for k in range(1, largest.bit_length()))
    return sorted({largest, *(size for size in (*PROBE_SIZES, *doubled) if size < largest)})


def _same(runtime: Runtime, level: int, inputs: tuple[Array | None, ...], alone: Array, size: int) -> bool:
    order = [k % len(alone) for k in range(size)][::-1]  # large batches hold the same pictures several times
    return bool(np.array_equal(_run(runtime, level, inputs, order), alone[order]))


def _fixed_bucket(runtime: Runtime, level: int, inputs: tuple[Array | None, ...], size: int) -> int:
    forward = _run(runtime, level, inputs, list(range(size)))
    for shift in range(1, size):
        order = [(k + shift) % size for k in range(size)]
        if not np.array_equal(_run(runtime, level, inputs, order), forward[order]):
            return 1
    return size


def _run(runtime: Runtime, level: int, inputs: tuple[Array | None, ...], rows: list[int]) -> Array:
    previous, noise, label = (None if x is None else np.ascontiguousarray(x[rows]) for x in inputs)
    return runtime.run_level(level, previous, noise, label)
