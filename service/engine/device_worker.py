"""One device: forms the next batch, runs one level of it, hands every caller its slice.

A thread does it, so that the event loop stays awake. Where a process has one core (`inline`), there is nothing to do
meanwhile: short batches run in the event loop itself, which spares two hand-overs of the interpreter a batch, until so
much waits that refusals must be quick, or a batch is long; then the thread takes over until nothing waits.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Hashable

import numpy as np

from models.runtimes.base import Array, Pixels
from service.engine.batcher import Batch, Batcher, Piece, Ticket
from service.engine.level_work import LevelWork, run_batch
from service.errors import DeadlineError, ServiceError, UnavailableError
from service.observability.metrics import Metrics
from service.observability.tracing import Trace, Tracing

INLINE_S = 0.05
"""A queue whose full batch takes longer than this is never computed in the event loop."""
STILL_TURNS = 2
"""Turns of the event loop without a new picture before a batch that is not full is computed: a request takes two."""
INLINE_BATCHES = 8
"""With more than so many full batches waiting, the event loop is left to those who must be refused."""


class DeviceWorker:
    """Owns the batcher and every runtime call of one device."""

    def __init__(self, metrics: Metrics, inline: bool = False, tracing: Tracing | None = None) -> None:
        self._metrics = metrics
        self.tracing = tracing or Tracing()
        self._thread_has_it = not inline
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn_due = False
        self._full = 1
        self._seen = self._still = 0
        self._full_batch_s: dict[Hashable, float] = {}
        self._batcher = Batcher(self._dropped)
        self._wake = threading.Condition()
        self._stopping = False
        self.rate = 0.0
        """Pictures per second, smoothed over recent batches; 0 until the first."""
        self._thread = threading.Thread(target=self._serve, name="ganymede-device", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Pictures that wait for the device."""
        return self._batcher.waiting

    def submit(self, ticket: Ticket) -> None:
        """Queue a ticket whose payload is a LevelWork; its future resolves in its own event loop."""
        with self._wake:
            if self._stopping:
                raise UnavailableError("the engine is stopping")
            self._batcher.add(ticket)
            self._full = ticket.batch
            if self._thread_has_it:
                self._wake.notify()
            else:
                self._go_on(ticket.payload.loop)

    def cancel(self, ticket: Ticket) -> None:
        """The caller went away: its place in the queue is free at once."""
        with self._wake:
            self._batcher.cancel(ticket)

    def stop(self) -> None:
        """Finish the batch in hand and end the thread; what still waits is refused."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(timeout=30)

    def _serve(self) -> None:
        while self._serve_one():
            pass

    def _serve_one(self) -> bool:
        """A function of its own, so that a batch is not kept while the next one is awaited. False: the engine stops."""
        batch = self._await_batch()
        if batch is not None:
            self._compute(batch)
        return batch is not None

    def _await_batch(self) -> Batch | None:
        """In the thread: the next batch that is its own; None when the engine stops."""
        with self._wake:
            while True:
                mine = self._thread_has_it and not (self._loop is not None and self._is_light())
                batch = self._batcher.next(time.monotonic()) if mine or self._stopping else None
                if batch is not None or self._stopping:
                    return batch
                if self._loop is not None and self._thread_has_it:
                    self._thread_has_it = False
                    with contextlib.suppress(RuntimeError):  # a closed loop has nobody left who waits
                        self._loop.call_soon_threadsafe(self._turn)
                self._wake.wait()

    def _is_light(self) -> bool:
        few = self._batcher.waiting <= INLINE_BATCHES * self._full
        return few and all(self._full_batch_s.get(key, np.inf) <= INLINE_S for key in self._batcher.waiting_keys())

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the event loop, with the lock: see to it that what waits is computed, here or in the thread."""
        self._loop = loop
        if not self._is_light():
            self._thread_has_it = True
            self._wake.notify()
        elif not self._turn_due:
            self._turn_due = True
            loop.call_soon(self._turn)

    def _more_come(self) -> bool:
        """Whether a batch that is not full grew in the last turns of the event loop: reading first wastes nothing here."""
        waiting = self._batcher.waiting
        self._still = 0 if waiting > self._seen else self._still + 1
        self._seen = waiting
        if waiting < self._full and self._still < STILL_TURNS:
            return True
        self._still = self._seen = 0
        return False

    def _turn(self) -> None:
        """In the event loop, after everything that had already arrived: one batch."""
        with self._wake:
            self._turn_due = False
            if self._more_come():
                self._turn_due = True
                self._loop.call_soon(self._turn)  # type: ignore[union-attr]
                return
            batch = None if self._thread_has_it or not self._is_light() else self._batcher.next(time.monotonic())
        if batch is not None:
            self._compute(batch, self._loop)
        with self._wake:
            if self._batcher.waiting and self._loop is not None and not self._thread_has_it:
                self._go_on(self._loop)

    def _compute(self, batch: Batch, here: asyncio.AbstractEventLoop | None = None) -> None:
        """Run a batch and hand it out; `here` is the event loop this is called in, if it is one."""
        started = time.monotonic()
        try:
            pictures = run_batch(batch)
        except Exception as error:  # a failing graph must not take the thread, or other queues, with it
            for piece in batch.pieces:
                self._settle(piece.ticket.payload.loop, [piece.ticket.payload], error)
            return
        self._observe(batch, started)
        self._deliver(batch, pictures, here)

    def _deliver(self, batch: Batch, pictures: Array | Pixels, here: asyncio.AbstractEventLoop | None) -> None:
        offset = 0
        done: dict[asyncio.AbstractEventLoop, list[LevelWork]] = {}
        for piece in batch.pieces:
            work: LevelWork = piece.ticket.payload
            count = piece.stop - piece.start
            rows = pictures[offset : offset + count]
            if count == piece.ticket.count:
                work.result = rows  # the whole ticket: a view will do
            else:
                if work.result is None:
                    work.result = np.empty((piece.ticket.count, *pictures.shape[1:]), pictures.dtype)
                work.result[piece.start : piece.stop] = rows
            offset += count
            work.remaining -= count
            if work.remaining == 0:
                done.setdefault(work.loop, []).append(work)
        for loop, works in done.items():
            if loop is here:
                _resolve(works, None)
            else:
                self._settle(loop, works, None)

    def _settle(self, loop: asyncio.AbstractEventLoop, works: list[LevelWork], error: Exception | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop of a caller that went away may be closed
            loop.call_soon_threadsafe(_resolve, works, error)

    def _dropped(self, ticket: Ticket, reason: str) -> None:
        self._metrics.add("cancelled", ticket.waiting, reason=reason)
        error = DeadlineError("the deadline passed before the picture was computed")
        self._settle(ticket.payload.loop, [ticket.payload], error)

    def _observe(self, batch: Batch, started: float) -> None:
        took = time.monotonic() - started
        first: LevelWork = batch.pieces[0].ticket.payload
        name = first.model.bundle.name
        self.tracing.batch(name, first.level, batch.count, started, [trace_of(piece) for piece in batch.pieces])
        rate = batch.count / max(took, 1e-6)
        full_s = took * max(1.0, batch.pieces[0].ticket.batch / batch.count)
        before_s = self._full_batch_s.get(batch.key, full_s)
        self._full_batch_s[batch.key] = 0.8 * before_s + 0.2 * full_s
        self.rate = rate if self.rate == 0 else 0.9 * self.rate + 0.1 * rate
        self._metrics.observe("batch_pictures", batch.count, model=name)
        self._metrics.observe("compute_seconds", took, model=name)
        for piece in batch.pieces:
            self._metrics.observe("queue_wait_seconds", started - piece.ticket.arrived)
            if piece.ticket.cancelled:
                self._metrics.add("wasted_compute_seconds", took * (piece.stop - piece.start) / batch.count)


def trace_of(piece: Piece) -> tuple[Trace, float | None]:
    """Where the request of a piece belongs, and when it began to wait; None for pieces after its first."""
    return piece.ticket.payload.trace, piece.ticket.arrived if piece.start == 0 else None


def _resolve(works: list[LevelWork], error: Exception | None) -> None:
    """In the event loop: wake everyone whose last picture was in a batch."""
    for work in works:
        if not work.future.done():
            _wake(work, error)


def _wake(work: LevelWork, error: Exception | None) -> None:
    if error is None and work.result is not None:
        work.future.set_result(work.result)
    else:
        known = isinstance(error, ServiceError)
        work.future.set_exception(error if known and error else ServiceError("the model failed to compute a picture"))
