"""Clients of Redis: pools that wait, timeouts that notice a cut link, checks of a server that is not ours."""

import asyncio
from typing import Any

import redis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ResponseError

OLDEST = (6, 2)
CONNECTIONS = 64
COMMAND_TIMEOUT_S = 10.0


class Client(Redis):
    """redis-py's client, but a cancelled call is cancelled.

    redis-py 8.1 loses most cancellations that arrive while it waits for a reply (77 of 80 in a loop of GETs on
    Python 3.11): the task runs on as if nothing had been asked, so that jobs and requests could not be cancelled.
    """

    url: str = ""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """One command. Raises CancelledError when this task was cancelled meanwhile."""
        task = asyncio.current_task()
        before = task.cancelling() if task else 0
        result = await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        if task and task.cancelling() > before:
            raise asyncio.CancelledError
        return result


def connect(url: str) -> Client:
    """A client of `url` (`redis://`, `rediss://` or `unix://`); callers beyond CONNECTIONS wait for a connection.

    The default pool of redis-py fails at its limit instead of waiting, and never gives up on a silent link.
    Nothing that blocks in Redis goes through this pool: each process has one reader (see `service.jobs.signals`).
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=COMMAND_TIMEOUT_S,
        socket_timeout=COMMAND_TIMEOUT_S,
        socket_connect_timeout=3.0,
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.02), 3),
    )
    client = Client(connection_pool=pool, decode_responses=False)
    client.url = url
    return client


def blocking_client(client: Redis, *, timeout_s: float) -> redis.Redis:
    """A client of the same server for a thread of its own. It tries once: who beats tries again anyway."""
    assert isinstance(client, Client), "only clients made by connect() know their address"
    return redis.Redis.from_url(
        client.url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=redis.retry.Retry(NoBackoff(), 0),
    )


async def check_server(client: Redis) -> list[str]:
    """What is unsafe about an external server, as sentences; empty when all is well. Raises when it is away."""
    info: dict[str, Any] = await client.info("server")
    version = str(info.get("valkey_version") or info.get("redis_version") or "0")
    warnings = []
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        warnings.append(f"Redis {version} is older than {OLDEST[0]}.{OLDEST[1]}; jobs need XAUTOCLAIM")
    return warnings + await _check_durability(client)


async def _check_durability(client: Redis) -> list[str]:
    try:
        found: dict[str | None, str | None] = await client.config_get("maxmemory-policy", "appendonly", "appendfsync")
    except ResponseError:
        return [
            "this Redis refuses CONFIG GET; make sure that it has maxmemory-policy noeviction, appendonly yes and an "
            "appendfsync other than everysec"
        ]
    warnings = []
    if (policy := found.get("maxmemory-policy", "noeviction")) != "noeviction":
        warnings.append(
            f"maxmemory-policy is {policy!r}: saved latents and jobs WILL be evicted under pressure; set noeviction"
        )
    if found.get("appendonly", "yes") != "yes":
        warnings.append("appendonly is off: a restart of Redis loses saved latents and jobs; set appendonly yes")
    elif found.get("appendfsync") == "everysec":
        warnings.append(
            "appendfsync is everysec: a Redis that is killed while its disk is slow loses what it accepted in the last "
            "two seconds; set appendfsync always"
        )
    return warnings
