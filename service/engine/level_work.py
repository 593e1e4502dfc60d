"""What is computed at once: the inputs of one level of one request, and one level of a batch of them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from models.runtimes.base import Array, Pixels, to_pixels
from models.runtimes.invariance import FREE
from service.engine.batcher import Batch, Piece
from service.engine.model import Model
from service.errors import UnavailableError
from service.observability.tracing import Trace


class Receiver(Protocol):
    """Who gets the pictures: an asyncio.Future, or whatever else hears of its result in the event loop, once."""

    def done(self) -> bool:
        """Whether it wants to hear no more."""

    def set_result(self, result: Any, /) -> object:
        """The pictures [n, c, h, w], or their pixels [n, h, w, c]."""

    def set_exception(self, exception: Exception, /) -> object:
        """There will be none."""


@dataclass(eq=False)
class LevelWork:
    """Inputs of one level of one request, where its results go, and who waits for them.

    `noise` may be a function: what is drawn together with its batch is drawn from warm caches, in a third of the time.
    `as_pixels`: the result is uint8 pixels, made of the whole batch at once while it is in the cache.
    """

    model: Model
    level: int
    previous: Array | None
    noise: Array | Callable[[], Array] | None
    label: Array | None
    future: Receiver
    loop: asyncio.AbstractEventLoop
    remaining: int
    as_pixels: bool = False
    trace: Trace = None
    result: Array | Pixels | None = None

    def inputs(self) -> tuple[Array | None, Array | None, Array | None]:
        """The three inputs of a level's graph, in order."""
        if callable(self.noise):
            self.noise = self.noise()
        return self.previous, self.noise, self.label


def run_batch(batch: Batch) -> Array | Pixels:
    """The pictures of all pieces [n, c, h, w], as pixels [n, h, w, c] where they are asked for so."""
    pictures = _run_level(batch)
    return to_pixels(pictures) if batch.pieces[0].ticket.payload.as_pixels else pictures


def _run_level(batch: Batch) -> Array:
    """One call of the runtime, or one a bucket where the level has a fixed size."""
    work: LevelWork = batch.pieces[0].ticket.payload
    bucket = work.model.buckets[work.level]
    if work.model.runtime is None:
        raise UnavailableError("this process has no engine")
    rows = [(piece.ticket.payload.inputs(), piece) for piece in batch.pieces]
    inputs = [_gather([(arrays[k], piece) for arrays, piece in rows]) for k in range(3)]
    if bucket == FREE:
        return work.model.runtime.run_level(work.level, *inputs)
    chunks = []
    for start in range(0, batch.count, bucket):
        part = [None if x is None else x[start : start + bucket] for x in inputs]
        padded = [None if x is None else _pad(x, bucket) for x in part]
        chunks.append(work.model.runtime.run_level(work.level, *padded)[: min(bucket, batch.count - start)])
    return np.concatenate(chunks)


def _gather(rows: Sequence[tuple[Array | None, Piece]]) -> Array | None:
    if rows[0][0] is None:
        return None
    cuts = [array[piece.start : piece.stop] for array, piece in rows if array is not None]
    return np.ascontiguousarray(cuts[0]) if len(cuts) == 1 else np.concatenate(cuts)


def _pad(rows: Array, size: int) -> Array:
    if len(rows) == size:
        return rows
    return np.concatenate([rows, np.repeat(rows[:1], size - len(rows), axis=0)])
