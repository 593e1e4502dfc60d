"""When what is written is sent: by a transport that remembers its calls."""

import asyncio
from typing import Any

from service.http.coalescing import AT_ONCE_BYTES, CoalescingTransport


class Pipe:
    """What is below: every call to send, and whether it is closed."""

    def __init__(self) -> None:
        self.sent: list[list[bytes]] = []
        self.closed = False

    def writelines(self, pieces: list[bytes]) -> None:
        assert not self.closed
        self.sent.append(pieces)

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 5

    def get_extra_info(self, name: str) -> str:
        return name

    def close(self) -> None:
        self.closed = True


def made(*, is_lone: bool = False) -> tuple[Any, Pipe]:
    pipe = Pipe()
    return CoalescingTransport(pipe, lambda: is_lone), pipe  # type: ignore[arg-type]


async def test_what_a_turn_writes_is_sent_in_the_next_as_one() -> None:
    """In order; a client is woken when everything that the turn had to say is said."""
    transport, pipe = made()
    transport.write(b"head")
    transport.write(b"body")
    assert (pipe.sent, transport.get_write_buffer_size()) == ([], 8 + 5)
    await asyncio.sleep(0)
    assert (pipe.sent, transport.get_write_buffer_size()) == ([[b"head", b"body"]], 5)
    transport.write(b"more")
    await asyncio.sleep(0)
    assert pipe.sent[1:] == [[b"more"]]


async def test_answers_of_one_turn_leave_after_the_last_of_them_is_made() -> None:
    """Sent between two of them, the first would take the core from the second."""
    (first, one), (second, another) = made(), made()
    loop, seen = asyncio.get_running_loop(), []
    loop.call_soon(first.write, b"a")
    loop.call_soon(second.write, b"b")
    loop.call_soon(lambda: seen.append((list(one.sent), list(another.sent))))
    for _ in range(3):
        await asyncio.sleep(0)
    assert seen == [([], [])]
    assert (one.sent, another.sent) == ([[b"a"]], [[b"b"]])


async def test_much_is_sent_at_once() -> None:
    """With what was written before it, and nothing twice."""
    transport, pipe = made()
    transport.write(b"head")
    transport.write(bytes(AT_ONCE_BYTES - 5))
    assert pipe.sent == []
    transport.write(b"x")
    assert [len(pieces) for pieces in pipe.sent] == [3]
    await asyncio.sleep(0)
    assert len(pipe.sent) == 1


async def test_a_lone_client_is_answered_at_once() -> None:
    """Nobody else's answer could go with its own."""
    transport, pipe = made(is_lone=True)
    transport.write(b"answer")
    assert pipe.sent == [[b"answer"]]


async def test_the_last_answer_is_sent_before_the_end() -> None:
    """And nothing afterwards."""
    transport, pipe = made()
    transport.write(b"answer")
    transport.close()
    assert (pipe.sent, pipe.closed) == ([[b"answer"]], True)
    transport.write(b"late")
    await asyncio.sleep(0)
    assert len(pipe.sent) == 1


async def test_a_client_that_goes_is_sent_nothing() -> None:
    """Its loop has closed what is below."""
    transport, pipe = made()
    transport.write(b"answer")
    pipe.close()
    await asyncio.sleep(0)
    assert pipe.sent == []


async def test_everything_else_is_passed_on() -> None:
    """What a protocol asks of its transport."""
    assert made()[0].get_extra_info("peername") == "peername"
