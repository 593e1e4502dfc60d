"""Clients of Redis: what the library gets wrong and we rely on."""

import asyncio
import ssl

from redis.asyncio import Redis, SSLConnection

from service.redis.connect import connect


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


def test_a_server_elsewhere_gets_a_password_over_tls() -> None:
    """By its URL alone, and only of a host whose certificate is good."""
    pool = connect("rediss://me:secret@redis.example:6380/0").connection_pool
    assert pool.connection_class is SSLConnection
    known = {name: pool.connection_kwargs[name] for name in ("host", "port", "username", "password")}
    assert known == {"host": "redis.example", "port": 6380, "username": "me", "password": "secret"}
    context = pool.make_connection().ssl_context
    assert (context.cert_reqs, context.check_hostname) == (ssl.CERT_REQUIRED, True)
