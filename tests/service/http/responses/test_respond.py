"""The last steps of an answer: what is written at once, who has gone, what an event looks like."""

import asyncio
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from service.errors import ClientClosedError
from service.http.negotiation import JSON, NPY, PNG
from service.http.responses import respond as module
from service.http.responses.respond import cancel_on_disconnect, is_quick, pixels_of
from service.operations.results import Document, Picture, Pictures


@pytest.mark.parametrize(
    ("cores", "media", "most"), [(1, PNG, 256 * 256), (2, PNG, 128 * 128), (1, NPY, 1 << 20), (2, NPY, 1 << 20)]
)
def test_small_pngs_and_arrays_are_written_at_once(cores: int, media: str, most: int) -> None:
    """Up to a size; whatever takes longer to encode never keeps the others waiting."""
    settings: Any = SimpleNamespace(has_one_core=cores == 1)
    assert is_quick(settings, media, most)
    assert not is_quick(settings, media, most + 1)
    assert not is_quick(settings, "image/webp", 0)
    assert not is_quick(settings, JSON, 0)


def test_the_pixels_of_all_pictures_count() -> None:
    """Of a document none."""
    sizes = [Picture(np.zeros((height, 5, 3), np.uint8)) for height in (2, 4)]
    assert pixels_of(Pictures("m", "cpu", tuple(sizes))) == 30
    assert pixels_of(Document({})) == 0


class Asker:
    """A client that hangs up when it is told to."""

    def __init__(self) -> None:
        self.has_gone = asyncio.Event()
        self.said = iter(["http.request"])

    async def body(self) -> bytes:
        return b""

    async def receive(self) -> dict[str, str]:
        if (kind := next(self.said, None)) is not None:
            return {"type": kind}
        await self.has_gone.wait()
        return {"type": "http.disconnect"}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch over a client begins after a hundredth of a second."""
    monkeypatch.setattr(module, "WATCH_AFTER_S", 0.01)


async def work(ended: list[str], takes_s: float = 60.0) -> str:
    try:
        await asyncio.sleep(takes_s)
    except asyncio.CancelledError:
        ended.append("cancelled")
        raise
    return "done"


async def test_who_hangs_up_ends_the_work() -> None:
    """And the task that did it may go on with something else."""
    asker: Any = Asker()
    ended: list[str] = []
    asyncio.get_running_loop().call_later(0.05, asker.has_gone.set)
    with pytest.raises(ClientClosedError, match="the client hung up"):
        await cancel_on_disconnect(asker, work(ended))
    assert ended == ["cancelled"]
    assert await cancel_on_disconnect(asker, work(ended, 0)) == "done"


async def test_who_waits_gets_the_answer() -> None:
    """However long it takes; nothing watches on afterwards."""
    asker: Any = Asker()
    assert await cancel_on_disconnect(asker, work([], 0.05)) == "done"
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_who_is_cancelled_for_another_reason_is_cancelled() -> None:
    """A drain is no client that hung up."""
    asker: Any = Asker()
    task = asyncio.ensure_future(cancel_on_disconnect(asker, work([])))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
