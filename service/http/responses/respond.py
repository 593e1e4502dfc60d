"""The last steps of an answer: represent a result off the loop, notice that the client is gone, write an event."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from service.errors import ClientClosedError
from service.http.negotiation import NPY, PNG
from service.http.responses.represent import represent
from service.http.state import state_of
from service.operations.requests import Delivery
from service.operations.results import Document, Result
from service.settings import Settings

T = TypeVar("T")


INLINE_PIXELS = 128 * 128
"""A PNG of so many pixels is not worth a hop to a thread."""
ALONE_INLINE_PIXELS = 256 * 256
"""The same where the process has one core: a sheet of sixteen 64x64 faces takes 0.7 ms of it."""
ARRAY_PIXELS = 1 << 20
"""An array of so many pixels is only copied: 0.4 ms."""
WATCH_AFTER_S = 0.1


async def respond(request: Request, result: Result, media: str, delivery: Delivery) -> Response:
    """Represent a result in the encoder pool, off the event loop, or at once where the hop costs more."""
    state = state_of(request.app)
    started = time.perf_counter()
    base = state.settings.public_url or ""
    with state.tracing.span("encode", format=media):
        if is_quick(state.settings, media, pixels_of(result)):
            response = represent(result, media, delivery, base)
        else:
            loop = asyncio.get_running_loop()
            response = await loop.run_in_executor(state.encoders, represent, result, media, delivery, base)
    state.metrics.observe("encode_seconds", time.perf_counter() - started, format=media)
    return response


def is_quick(settings: Settings, media: str, pixels: int) -> bool:
    """Whether an answer of so many pixels is written sooner than a thread would take it."""
    few = ALONE_INLINE_PIXELS if settings.has_one_core else INLINE_PIXELS
    return pixels <= {PNG: few, NPY: ARRAY_PIXELS}.get(media, -1)


def pixels_of(result: Result) -> int:
    """Pixels of all pictures of a result together."""
    if isinstance(result, Document):
        return 0
    return sum(picture.pixels.shape[0] * picture.pixels.shape[1] for picture in result.pictures)


async def cancel_on_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await `work`, but cancel it when the client hangs up: its pictures leave the queue. Raises ClientClosedError then.

    Most answers are ready before a client could think better of it, so the watch begins only after a while: a task and
    its cancelling cost more than the rest of a small request.
    """
    task = asyncio.current_task()
    assert task is not None
    watch = _DisconnectWatch(request, task)
    timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, watch.begin)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.gone:
            task.uncancel()
            raise ClientClosedError("the client hung up") from None
        raise
    finally:
        timer.cancel()
        watch.end()


class _DisconnectWatch:
    """Waits for the client to hang up and then cancels the task that works for it."""

    def __init__(self, request: Request, worker: asyncio.Task[Any]) -> None:
        self._request, self._worker = request, worker
        self._task: asyncio.Task[None] | None = None
        self.gone = False

    def begin(self) -> None:
        self._task = asyncio.ensure_future(self._wait())

    def end(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _wait(self) -> None:
        await self._request.body()
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._worker.cancel()
