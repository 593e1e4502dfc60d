"""Small writes of one turn become one; large ones are not copied; nothing is lost or reordered."""

import asyncio

from service.http.fast.writes import MOST_BYTES, JoinedTransport


class Recorder:
    """A transport that remembers."""

    def __init__(self) -> None:
        self.calls: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.calls.append(data)

    def close(self) -> None:
        self.calls.append("closed")


async def test_head_and_body_leave_together() -> None:
    """A client is woken once for a picture."""
    recorder = Recorder()
    transport = JoinedTransport(recorder, asyncio.get_running_loop())  # type: ignore[arg-type]
    transport.write(b"head ")
    transport.write(b"body")
    assert recorder.calls == []
    await asyncio.sleep(0)
    assert recorder.calls == [b"head body"]


async def test_a_large_body_goes_at_once_and_in_order() -> None:
    """An array of megabytes is neither copied nor kept."""
    recorder, body = Recorder(), bytes(MOST_BYTES + 1)
    transport = JoinedTransport(recorder, asyncio.get_running_loop())  # type: ignore[arg-type]
    transport.write(b"head")
    transport.write(body)
    assert recorder.calls[0] == b"head"
    assert recorder.calls[1] is body
    await asyncio.sleep(0)
    assert len(recorder.calls) == 2


async def test_closing_sends_first() -> None:
    """`Connection: close` does not cut the answer off."""
    recorder = Recorder()
    transport = JoinedTransport(recorder, asyncio.get_running_loop())  # type: ignore[arg-type]
    transport.write(b"last words")
    transport.close()
    await asyncio.sleep(0)
    assert recorder.calls == [b"last words", "closed"]
