"""Clients of Redis: what the library gets wrong and we rely on."""

import asyncio

from redis.asyncio import Redis


async def test_a_cancelled_call_is_cancelled(redis: Redis) -> None:
    """Whoever cancels a task that talks to Redis stops it; it does not run on (redis-py 8.1 does, without our client)."""

    async def work() -> None:
        for _ in range(20):
            await redis.get("x")
        await asyncio.sleep(10)

    for attempt in range(20):
        task = asyncio.create_task(work())
        await asyncio.sleep(0.0002 * attempt)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=2)
        assert done
        assert task.cancelled()
