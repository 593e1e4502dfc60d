"""The last steps of an answer: represent a result off the loop, notice that the client is gone, write an event."""

import asyncio
import base64
import json
import time
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from service.errors import ClientClosedError
from service.operations.requests import Delivery
from service.operations.results import Result
from service.routes.represent import represent
from service.state import State

T = TypeVar("T")


async def respond(request: Request, result: Result, media: str, delivery: Delivery) -> Response:
    """Represent a result in the encoder pool, off the event loop."""
    state: State = request.app.state.ganymede
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    base = state.settings.public_url or ""
    response = await loop.run_in_executor(state.encoders, represent, result, media, delivery, base)
    state.metrics.observe("encode_seconds", time.perf_counter() - started, format=media)
    return response


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await `work`, but cancel it when the client hangs up: its pictures leave the queue."""
    task: asyncio.Task[T] = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientClosedError("the client hung up")
    finally:
        task.cancel()
        gone.cancel()


async def _hung_up(request: Request) -> None:
    await request.body()
    while (await request.receive())["type"] != "http.disconnect":
        pass


def sse(event: str, data: Mapping[str, Any], number: int | str) -> bytes:
    """One server-sent event; bytes inside the data travel as base64."""
    text = json.dumps(dict(data), default=lambda b: base64.b64encode(b).decode(), separators=(",", ":"))
    return f"id: {number}\nevent: {event}\ndata: {text}\n\n".encode()
