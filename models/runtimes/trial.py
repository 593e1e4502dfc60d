"""One level computed by a candidate beside the reference: the same picture, in any batch, and faster?

The order is from the cheapest refusal to the dearest: difference, time, independence of the batch.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from models.bundle import Bundle
from models.manifest import Manifest
from models.mathematics.latents import cut, draw
from models.runtimes.base import Array, Runtime, one_hot
from models.runtimes.candidates import REFERENCE, Candidate
from models.runtimes.invariance import FREE, bucket_for, level_noise, probe_inputs

Inputs = tuple[Array | None, Array | None, Array | None]
Clock = Callable[[], float]

LEVELS = 127.5
"""A float picture spans -1..1, one step of 255 is 1/127.5 of that."""
GAIN = 0.9
"""A candidate wins with less than this share of the reference's time: less is not worth other bytes than everybody's."""
NOT_SLOWER = 1.0
"""And with at most this share for a lone picture, and for a full batch: neither kind of caller may lose by it."""
SEEDS, BATCH = 64, 16
"""Pictures compared, and how many at once."""
START = 16
"""Side of the pictures that are enlarged again and again."""
TIMED_S = 0.05
"""CPU seconds for which each of two is timed, in turns, at each of two batch sizes; three times at least."""


@dataclass(frozen=True)
class Tolerance:
    """Largest differences to the reference, in steps of 255: at one level, and after all of them in a row."""

    kind: str
    """What a choice made under it is remembered as."""
    level: float
    whole: float


SAME = Tolerance("choice", 0.75, 1.0)
"""The same picture: no pixel rounds to more than one step away; a level's last quarter is for pictures not looked at."""
FAST = Tolerance("fast", 16.0, 16.0)
"""Whoever asks for `precision=fast` is told the difference. More than this is no rounding but a broken library."""


@dataclass(frozen=True)
class Row:
    """What was found of a candidate at a level: largest difference in steps of 255, CPU ms of a lone picture and of a full batch.

    `verdict`: `faster`, or why not. What was not measured is None.
    """

    level: int
    candidate: str
    verdict: str
    difference: float | None = None
    alone_ms: float | None = None
    full_ms: float | None = None

    @property
    def cost_ms(self) -> float:
        """One lone picture and one full batch, so that neither kind of caller pays for the other."""
        return (self.alone_ms or 0.0) + (self.full_ms or 0.0)

    def loses_to(self, other: "Row") -> bool:
        """Whether a lone picture or a full batch takes longer than with the other."""
        pairs = ((self.alone_ms, other.alone_ms), (self.full_ms, other.full_ms))
        return any((mine or 0.0) > NOT_SLOWER * (his or 0.0) for mine, his in pairs)


@dataclass(frozen=True)
class Trial:
    """What candidates are tried at: a bundle, with so many threads and pictures in a batch, as far from the reference."""

    bundle: Bundle
    threads: int
    max_batch: int
    tolerance: Tolerance = SAME

    @property
    def clock(self) -> Clock:
        """Processor time of the work alone: with one thread, others of the process may work meanwhile."""
        return time.thread_time if self.threads == 1 else time.process_time


def try_level(trial: Trial, level: int, reference: Runtime, candidate: Candidate) -> tuple[Row, ...]:
    """The candidate's row and, when they were timed, the reference's of the same turns. Raises what the candidate raises."""
    runtime = candidate.open(trial.bundle, trial.threads)
    try:
        return _try(trial, level, reference, runtime, candidate.name)
    finally:
        runtime.close()


def _try(trial: Trial, level: int, reference: Runtime, runtime: Runtime, name: str) -> tuple[Row, ...]:
    manifest, max_batch = trial.bundle.manifest, trial.max_batch
    difference = level_difference(runtime, reference, manifest, level)
    if difference > trial.tolerance.level:
        return (Row(level, name, "another picture", difference),)
    inputs = probe_inputs(manifest, level, max_batch)
    times = [_in_turns(level, (reference, runtime), _rows(inputs, size), trial.clock) for size in (1, max_batch)]
    own = Row(level, name, "faster", difference, *(pair[1] * 1e3 for pair in times))
    theirs = Row(level, REFERENCE.name, "reference", 0.0, *(pair[0] * 1e3 for pair in times))
    if own.cost_ms > GAIN * theirs.cost_ms or own.loses_to(theirs):
        return _with(own, "not faster"), theirs
    free = bucket_for(runtime, manifest, level, max_batch) == FREE
    return (own if free else _with(own, "depends on company")), theirs


def _with(row: Row, verdict: str) -> Row:
    return Row(row.level, row.candidate, verdict, row.difference, row.alone_ms, row.full_ms)


def level_difference(runtime: Runtime, reference: Runtime, manifest: Manifest, level: int) -> float:
    """Largest difference at one level, given the reference's own pictures, in steps of 255."""
    worst = 0.0
    for inputs in level_batches(manifest, reference, level):
        worst = max(worst, _steps(runtime.run_level(level, *inputs), reference.run_level(level, *inputs)))
    return worst


def chain_difference(runtime: Runtime, reference: Runtime, manifest: Manifest) -> float:
    """Largest difference at any level when each goes on from its own pictures, in steps of 255.

    A level that takes any size is applied as often as the bundle allows.
    """
    worst = 0.0
    for first in range(0, SEEDS, BATCH):
        chains = (_chain(each, manifest, first) for each in (runtime, reference))
        worst = max([worst, *(_steps(ours, theirs) for ours, theirs in zip(*chains, strict=True))])
    return worst


def _steps(ours: Array, theirs: Array) -> float:
    return float(np.abs(np.clip(ours, -1, 1) - np.clip(theirs, -1, 1)).max()) * LEVELS


def level_batches(manifest: Manifest, reference: Runtime, level: int) -> Iterator[Inputs]:
    """Inputs of one level for seeds 0..SEEDS-1: latents, labels in turn, and the pictures of the levels before."""
    for first in range(0, SEEDS, BATCH):
        if not manifest.samples:
            yield _any_size(manifest, first)
            continue
        picture: Array | None = None
        for before in range(level):
            picture = reference.run_level(before, picture, *_noise_and_label(manifest, before, first))
        yield (picture, *_noise_and_label(manifest, level, first))


def picture_chains(runtime: Runtime, manifest: Manifest) -> Iterator[list[Array]]:
    """Every level's pictures of 64 seeds, in batches, each level going on from the one before.

    A level that takes any size is applied as often as the bundle allows, to a quarter of a batch.
    """
    return (list(_chain(runtime, manifest, first)) for first in range(0, SEEDS, BATCH))


def _chain(runtime: Runtime, manifest: Manifest, first: int) -> Iterator[Array]:
    if manifest.samples:
        picture: Array | None = None
        for level in range(len(manifest.levels)):
            picture = runtime.run_level(level, picture, *_noise_and_label(manifest, level, first))
            yield picture
        return
    factor, upsampling = manifest.levels[0].factor or 2, manifest.upsampling
    picture, _, _ = _any_size(manifest, first)
    assert picture is not None
    picture = np.ascontiguousarray(picture[: BATCH // 4, :, :START, :START])  # it grows by the square of every step
    reached = factor
    while reached <= (upsampling.max_factor if upsampling else factor):
        height, width = (side * factor for side in picture.shape[2:])
        noise = np.random.RandomState(reached).standard_normal((len(picture), 1, height, width)).astype(np.float32)
        picture = runtime.run_level(0, picture, noise, None)
        yield picture
        reached *= factor


def _noise_and_label(manifest: Manifest, level: int, first: int) -> tuple[Array | None, Array | None]:
    seeds = range(first, first + BATCH)
    noise = np.ascontiguousarray(cut(manifest.latent, draw(manifest.latent, seeds))[level])
    if not (manifest.levels[level].label and manifest.labels):
        return noise, None
    return noise, one_hot([seed % len(manifest.labels) for seed in seeds], len(manifest.labels))


def _any_size(manifest: Manifest, seed: int) -> Inputs:
    """Pictures of random pixels, which are harder than photographs: half of them smooth in one direction."""
    info, rng = manifest.levels[0], np.random.RandomState(seed)
    sides = info.previous or (32, 32)
    pictures = rng.uniform(-1, 1, (BATCH, manifest.image.channels, *sides)).astype(np.float32)
    pictures[::2] = np.sort(pictures[::2], axis=3)
    return pictures, level_noise(manifest, info, 0, BATCH), None


def _rows(inputs: Inputs, count: int) -> Inputs:
    previous, noise, label = (None if x is None else np.ascontiguousarray(x[:count]) for x in inputs)
    return previous, noise, label


def _in_turns(level: int, runtimes: tuple[Runtime, ...], inputs: Inputs, clock: Clock) -> list[float]:
    """Best CPU seconds of each: what else runs on the machine matters little then, and the turns share what is left."""
    best = [float("inf")] * len(runtimes)
    for runtime in runtimes:
        runtime.run_level(level, *inputs)  # the first call of a shape compiles
    rounds, end = 0, clock() + TIMED_S * len(runtimes)
    while rounds < 3 or clock() < end:
        for k, runtime in enumerate(runtimes):
            best[k] = min(best[k], _seconds(runtime, level, inputs, clock))
        rounds += 1
    return best


def _seconds(runtime: Runtime, level: int, inputs: Inputs, clock: Clock) -> float:
    started = clock()
    runtime.run_level(level, *inputs)
    return clock() - started
