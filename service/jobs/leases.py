"""Leases of a worker: taking over what others have let go. `heartbeat` renews them and hears what is lost."""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from redis.exceptions import ResponseError

from service.jobs.heartbeat import Heartbeat
from service.jobs.queue import JobQueue
from service.redis.failures import AWAY

log = logging.getLogger("ganymede.jobs")

GROUP = "workers"
TIDY_EVERY_S = 60.0
FORGET_CONSUMER_MS = 600_000


class Leases:
    """The lease of a job is its idle time in the consumer group: below `lease_s` it belongs to who holds it.

    `running` are the jobs of the worker `name` by their messages. `adopt` gets (message, job) of those taken over.
    """

    def __init__(
        self,
        queue: JobQueue,
        name: str,
        slots: int,
        running: Mapping[str, Any],
        heartbeat: Heartbeat,
        adopt: Callable[[list[tuple[str, str]]], None],
    ) -> None:
        self._queue, self._name, self._slots, self._running = queue, name, slots, running
        self._heartbeat, self._adopt = heartbeat, adopt
        self._tidied = time.monotonic()

    async def upkeep(self) -> None:
        """Move what is due, end what is too late, take over what was let go, check for missed cancels."""
        settings = self._queue.settings
        await self._queue.run("sweep", int(settings.record_ttl_s), int(settings.dead_ttl_s))
        await self._take_over()
        await self._missed_cancels()
        if time.monotonic() - self._tidied > TIDY_EVERY_S:
            self._tidied = time.monotonic()
            await self._forget_consumers(lambda consumer: consumer["idle"] > FORGET_CONSUMER_MS)

    async def _take_over(self) -> None:
        """At once, beyond the slots if need be: they were accepted before what waits. Not right after an outage, when
        the leases of the living have run out as well."""
        queue, heartbeat = self._queue, self._heartbeat
        room = 2 * self._slots - len(self._running)
        stream = queue.keys.name("running")
        if room <= 0 or heartbeat.steady_s() < 2 * heartbeat.every_s or not await queue.redis.exists(stream):
            return
        lease_ms = int(queue.settings.lease_s * 1000)
        reply: Any = await queue.redis.xautoclaim(stream, GROUP, self._name, lease_ms, "0-0", count=room)
        taken = [(mid.decode(), row[b"id"].decode()) for mid, row in reply[1] if row]
        if taken := [(mid, job_id) for mid, job_id in taken if mid not in self._running]:
            ids = [job_id for _, job_id in taken]
            log.warning("took over %d jobs of a lost worker", len(taken), extra={"job_ids": ids})
            self._adopt(taken)

    async def _missed_cancels(self) -> None:
        """A cancel signal may be lost; the flag in the record is not."""
        entries = list(self._running.values())
        pipe = self._queue.redis.pipeline(transaction=False)
        for entry in entries:
            pipe.hmget(self._queue.keys.name("job", id=entry.id), "cancel", "state")
        for entry, (flag, state) in zip(entries, await pipe.execute(), strict=True):
            if flag is not None or state in (b"canceled", b"expired"):
                entry.cancel("user")

    async def _forget_consumers(self, is_gone: Callable[[Any], bool]) -> None:
        """Remove consumers of workers that are gone and hold nothing, so that restarts do not pile up."""
        redis, stream = self._queue.redis, self._queue.keys.name("running")
        consumers: Any = await redis.xinfo_consumers(stream, GROUP)
        for consumer in consumers:
            if consumer["pending"] == 0 and is_gone(consumer):
                await redis.xgroup_delconsumer(stream, GROUP, consumer["name"])

    async def sign_off(self) -> None:
        """This worker goes: it is no longer counted. What it could not hand back stays with its lease."""
        with contextlib.suppress(*AWAY, ResponseError):
            await self._queue.redis.zrem(self._queue.keys.name("workers"), self._name)
            await self._forget_consumers(lambda consumer: consumer["name"] == self._name.encode())
