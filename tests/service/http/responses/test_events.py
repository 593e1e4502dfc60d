"""Events as they are sent."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.http.responses import events as module


def test_an_event_is_numbered_named_and_one_line_of_json() -> None:
    """Bytes travel as base64."""
    expected = b'id: 3\nevent: level\ndata: {"level":1,"png":"AAH/"}\n\n'
    assert module.sse("3", "level", {"level": 1, "png": b"\0\1\xff"}) == expected


class Told:
    """A queue that tells two events, a while apart."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.ended = asyncio.Event()

    async def events(self, job_id: str, last_id: str | None) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
        self.asked.append((job_id, last_id))
        try:
            yield "1-0", "queued", {"place": 1}
            await asyncio.sleep(0.3)
            yield "2-0", "succeeded", {}
        finally:
            self.ended.set()


async def test_events_come_as_they_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    """From where the client was; while nothing happens the connection is kept."""
    monkeypatch.setattr(module, "KEEP_ALIVE_S", 0.05)
    queue: Any = Told()
    found = [line async for line in module.server_sent(queue.events("j1", "0-1"))]
    assert queue.asked == [("j1", "0-1")]
    assert found[0] == b'id: 1-0\nevent: queued\ndata: {"place":1}\n\n'
    assert found[-1] == b"id: 2-0\nevent: succeeded\ndata: {}\n\n"
    assert set(found[1:-1]) == {b": keep-alive\n\n"}
    assert 2 <= len(found[1:-1]) <= 6


async def test_a_job_of_which_nothing_is_told_ends_the_stream() -> None:
    """Its events have gone."""

    class Silent:
        async def events(self, job_id: str, last_id: str | None) -> AsyncIterator[Any]:
            return
            yield

    queue: Any = Silent()
    assert [line async for line in module.server_sent(queue.events("j1", None))] == []


async def test_who_leaves_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens to the store for a closed connection."""
    queue: Any = Told()
    lines: Any = module.server_sent(queue.events("j1", None))
    await anext(lines)
    async with asyncio.timeout(10):
        pending = asyncio.ensure_future(anext(lines))
        await asyncio.sleep(0.01)
        pending.cancel()
        await queue.ended.wait()
