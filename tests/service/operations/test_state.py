"""The running state: whatever happened to a part of it, the others are closed."""

import asyncio

import pytest

from tests.conftest import ClientFactory


async def test_a_background_task_that_failed_keeps_nothing_open(
    client_with: ClientFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk, say, under the figures of a process; its failure is in the log, and Redis and the engine are closed."""
    closed: list[str] = []

    async def fails() -> None:
        raise OSError("no space left")

    async def close() -> None:
        closed.append("closed")

    async with client_with() as client:
        state = client.app.state.ganymede
        state.tasks.append(asyncio.create_task(fails()))
        state.closers.append(close)
    assert closed == ["closed"]
    assert "no space left" in caplog.text
