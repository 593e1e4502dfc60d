"""Server-sent events: how one is written, and a stream of them that keeps its connection."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

from service.jobs.events import Event

KEEP_ALIVE_S = 10.0


async def server_sent(events: AsyncGenerator[Event, None]) -> AsyncIterator[bytes]:
    """Events as they come; while none comes, a comment every KEEP_ALIVE_S. Whoever stops reading closes `events`."""
    waiting = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait([waiting], timeout=KEEP_ALIVE_S)
            if not done:
                yield b": keep-alive\n\n"
                continue
            event = waiting.result()
            if event is None:
                return
            yield sse(*event)
            waiting = asyncio.ensure_future(anext(events, None))
    finally:
        waiting.cancel()
        await asyncio.wait([waiting])
        await events.aclose()


def sse(number: str, event: str, data: Mapping[str, Any]) -> bytes:
    """One server-sent event; bytes inside the data travel as base64."""
    text = json.dumps(dict(data), default=lambda b: base64.b64encode(b).decode(), separators=(",", ":"))
    return f"id: {number}\nevent: {event}\ndata: {text}\n\n".encode()
