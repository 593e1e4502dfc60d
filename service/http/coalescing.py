"""Writes of one turn of the event loop, sent in the next one.

Answers of a batch that go out one by one wake their clients one by one: each takes a core from what is computed, to read
one answer. Sent one after the other, with nothing between, they find their client awake (figures in docs/experiments.md).
"""

import asyncio
from collections.abc import Callable
from typing import Any

AT_ONCE_BYTES = 64 << 10
"""So much is sent at once: whoever writes without end must feel that its reader is slow."""


class CoalescingTransport:
    """A transport whose `write` waits for the loop's next turn; head and body of an answer go as one. All else is passed on.

    While it `is_lone` there is nobody to wait for, and everything is sent at once.
    """

    def __init__(self, transport: asyncio.Transport, is_lone: Callable[[], bool]) -> None:
        self._transport, self._is_lone = transport, is_lone
        self._held: list[bytes] = []
        self._held_bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send soon, after everything that was written before."""
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes >= AT_ONCE_BYTES or self._is_lone():
            self._send()
        elif len(self._held) == 1:
            asyncio.get_running_loop().call_soon(self._send)

    def get_write_buffer_size(self) -> int:
        """Bytes that are not sent yet."""
        return self._held_bytes + int(self._transport.get_write_buffer_size())

    def close(self) -> None:
        """Send, and close."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        if held and not self._transport.is_closing():  # else the client has gone
            self._transport.writelines(held)
