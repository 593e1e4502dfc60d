"""The engine: latents in, pictures out, level by level, batched by picture over all requests. Knows nothing of HTTP."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypedDict, Unpack

import numpy as np

from models.mathematics.latents import cut
from models.runtimes.base import Array, DiscriminatorOutput, Pixels, one_hot, to_pixels
from models.runtimes.invariance import FREE
from service.engine.batcher import Ticket
from service.engine.device_worker import DeviceWorker
from service.engine.level_work import LevelWork, Receiver
from service.engine.model import Model
from service.errors import OverloadedError, UnavailableError
from service.observability.metrics import Metrics
from service.observability.tracing import Tracing

Inputs = tuple[Array | None, Array | Callable[[], Array] | None, Array | None]


class Terms(TypedDict, total=False):
    """Who asks, until when (a time.monotonic()), and whether others may go first."""

    caller: str
    deadline: float | None
    bulk: bool


OnLevel = Callable[[int, Pixels], Awaitable[None]]


class Engine:
    """One device. `queue_pictures` bounds what may wait; `max_batch` is the largest batch; `inline`: see DeviceWorker."""

    def __init__(
        self,
        metrics: Metrics,
        max_batch: int,
        queue_pictures: int,
        inline: bool = False,
        tracing: Tracing | None = None,
    ) -> None:
        self._metrics = metrics
        self._max_batch = max_batch
        self._queue_pictures = queue_pictures
        self._worker = DeviceWorker(metrics, inline, tracing)
        self._discriminating = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """Pictures that wait."""
        return self._worker.waiting

    def admit(self, count: int) -> None:
        """Refuse in microseconds what would not fit the queue. Raises OverloadedError with a Retry-After from the rate."""
        waiting = self._worker.waiting
        if waiting and waiting + count > self._queue_pictures:
            wait_s = (waiting + count - self._queue_pictures) / max(self._worker.rate, 1.0)
            raise OverloadedError(f"{waiting} pictures are waiting; try again later", retry_after_s=wait_s)

    async def generate(
        self, model: Model, vectors: Array, labels: Sequence[int | None], **terms: Unpack[Terms]
    ) -> Array:
        """Pictures float32 [n, c, h, w] in about -1..1 of flat latents [n, size]."""
        pictures: Array = await self._chain(model, vectors, labels, None, False, terms)
        return pictures

    async def pixels(
        self,
        model: Model,
        vectors: Array,
        labels: Sequence[int | None],
        on_level: OnLevel | None = None,
        **terms: Unpack[Terms],
    ) -> Pixels:
        """The same as uint8 [n, h, w, c]. `on_level(level, pixels)` hears of each level."""
        pixels: Pixels = await self._chain(model, vectors, labels, on_level, True, terms)
        return pixels

    async def _chain(
        self,
        model: Model,
        vectors: Array,
        labels: Sequence[int | None],
        on_level: OnLevel | None,
        as_pixels: bool,
        terms: Terms,
    ) -> Any:
        self.admit(len(vectors))
        noises = cut(model.manifest.latent, vectors)
        label = one_hot(labels, len(model.manifest.labels)) if model.manifest.labels else None
        picture: Any = None
        for level, noise in enumerate(noises):
            last = as_pixels and level == len(noises) - 1
            picture = await self._level(model, level, (picture, noise, label), last, terms)
            if on_level is not None:
                await on_level(level, picture if last else await asyncio.to_thread(to_pixels, picture))
        if picture is None:
            raise UnavailableError(f"{model.bundle.name} cannot make pictures from latents")
        self._metrics.add("pictures", len(vectors), model=model.bundle.name)
        return picture

    async def run_level(
        self,
        model: Model,
        level: int,
        previous: Array | None,
        noise: Array | None,
        label: Array | None,
        **terms: Unpack[Terms],
    ) -> Array:
        """One level of a request, in whatever batches it shares with others. Cancelling the caller frees its place."""
        pictures: Array = await self._level(model, level, (previous, noise, label), False, terms)
        return pictures

    async def _level(self, model: Model, level: int, inputs: Inputs, as_pixels: bool, terms: Terms) -> Any:
        future: asyncio.Future[Array | Pixels] = asyncio.get_running_loop().create_future()
        count = len(next(x for x in inputs if x is not None))  # type: ignore[arg-type]
        ticket = self._ticket(model, level, inputs, count, future, as_pixels, terms)
        self._worker.submit(ticket)
        try:
            return await future
        except asyncio.CancelledError:
            self._worker.cancel(ticket)
            raise

    def start(
        self,
        model: Model,
        noise: Callable[[], Array],
        label: Array | None,
        count: int,
        receiver: Receiver,
        **terms: Unpack[Terms],
    ) -> Ticket:
        """Pictures of a model with one level, without a task; `receiver` hears of their pixels.

        `noise` [count, *cut] is drawn with its first batch. Whoever calls it has asked `admit` first.
        """
        ticket = self._ticket(model, 0, (None, noise, label), count, receiver, True, terms)
        self._worker.submit(ticket)
        return ticket

    def cancel(self, ticket: Ticket | None) -> None:
        """Nobody waits for what `start` began, if it began anything."""
        if ticket is not None:
            self._worker.cancel(ticket)

    def _ticket(
        self, model: Model, level: int, inputs: Inputs, count: int, receiver: Receiver, as_pixels: bool, terms: Terms
    ) -> Ticket:
        previous, noise, label = inputs
        used_label = label if model.manifest.levels[level].label else None
        loop, here = asyncio.get_running_loop(), self._worker.tracing.here()
        work = LevelWork(model, level, previous, noise, used_label, receiver, loop, count, as_pixels, here)
        return Ticket(
            key=(model.reference, model.precision, level, as_pixels, None if previous is None else previous.shape[1:]),
            count=count,
            caller=terms.get("caller", ""),
            payload=work,
            arrived=time.monotonic(),
            deadline=terms.get("deadline"),
            bulk=terms.get("bulk", False),
            batch=model.batches[level],
            max_batch=max(model.batches[level], model.buckets[level] or self._max_batch),
            padded=model.buckets[level] != FREE,
        )

    async def discriminate(self, model: Model, images: Array, label: Array | None = None) -> DiscriminatorOutput:
        """The discriminator's answer for images [n, c, h, w] in -1..1, one picture a call: no other picture can matter."""
        runtime = model.runtime
        if runtime is None:
            raise UnavailableError("this process has no engine")
        # runtimes are not thread-safe; the discriminator's session is used by this lock's holder only
        async with self._discriminating:
            rows = [None if label is None else label[k : k + 1] for k in range(len(images))]
            answers = [
                await asyncio.to_thread(runtime.discriminate, images[k : k + 1], rows[k]) for k in range(len(images))
            ]
        return DiscriminatorOutput(
            np.concatenate([a.logits for a in answers]), np.concatenate([a.features for a in answers])
        )

    def close(self) -> None:
        """Stop the device's thread."""
        self._worker.stop()
