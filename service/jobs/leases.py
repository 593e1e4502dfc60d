"""Leases of a worker: what is lost, and taking over what others have let go. `heartbeat` renews them."""

import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from redis.exceptions import ResponseError

from service.jobs.heartbeat import Heartbeat
from service.jobs.queue import JobQueue
from service.observability.logs import about_job
from service.redis.failures import AWAY

log = logging.getLogger("ganymede.jobs")

GROUP = "workers"
TIDY_EVERY_S = 60.0
FORGET_CONSUMER_MS = 600_000


class Holder(Protocol):
    """What Leases needs of the runner."""

    queue: JobQueue
    name: str
    slots: int
    running: dict[str, Any]
    hooks: Any
    heartbeat: Heartbeat

    def spawn(self, job_id: str, mid: str, run: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Run something under a lease."""

    async def restart(self, entry: Any) -> None:
        """Run a job taken over."""


class Leases:
    """The lease of a job is its idle time in the consumer group: below `lease_s` it belongs to who holds it."""

    def __init__(self, holder: Holder) -> None:
        self._holder = holder
        self._tidied = time.monotonic()

    def lost(self, mid: str) -> None:
        """Stop a job whose lease another worker has taken."""
        entry = self._holder.running.get(mid)
        if entry is None or entry.finishing or entry.stop is not None:  # it has ended, and so given its lease up
            return
        with about_job(entry.id):
            log.warning("lost the lease of job %s; it ended elsewhere, or another worker has it", entry.id)
        entry.cancel("lost")

    async def upkeep(self) -> None:
        """Move what is due, end what is too late, take over what was let go, check for missed cancels."""
        queue = self._holder.queue
        await queue.run("sweep", int(queue.settings.record_ttl_s), int(queue.settings.dead_ttl_s))
        await self._take_over()
        await self._missed_cancels()
        if time.monotonic() - self._tidied > TIDY_EVERY_S:
            self._tidied = time.monotonic()
            await self._forget_consumers()

    async def _take_over(self) -> None:
        """At once, beyond the slots if need be: they were accepted before what waits. Not right after an outage, when
        the leases of the living have run out as well."""
        holder, queue, heartbeat = self._holder, self._holder.queue, self._holder.heartbeat
        room = 2 * holder.slots - len(holder.running)
        stream = queue.keys.name("running")
        if room <= 0 or heartbeat.steady_s() < 2 * heartbeat.every_s or not await queue.redis.exists(stream):
            return
        lease_ms = int(queue.settings.lease_s * 1000)
        reply: Any = await queue.redis.xautoclaim(stream, GROUP, holder.name, lease_ms, "0-0", count=room)
        taken = [(mid.decode(), row) for mid, row in reply[1] if row and mid.decode() not in holder.running]
        for mid, row in taken:
            holder.spawn(row[b"id"].decode(), mid, holder.restart)
        if taken:
            ids = [row[b"id"].decode() for _, row in taken]
            log.warning("took over %d jobs of a lost worker", len(taken), extra={"job_ids": ids})
            holder.hooks.reclaimed(len(taken))

    async def _missed_cancels(self) -> None:
        """A cancel signal may be lost; the flag in the record is not."""
        entries = list(self._holder.running.values())
        pipe = self._holder.queue.redis.pipeline(transaction=False)
        for entry in entries:
            pipe.hmget(self._holder.queue.keys.name("job", id=entry.id), "cancel", "state")
        for entry, (flag, state) in zip(entries, await pipe.execute(), strict=True):
            if flag is not None or state in (b"canceled", b"expired"):
                entry.cancel("user")

    async def _forget_consumers(self) -> None:
        """Remove consumers of workers that are gone and hold nothing, so that restarts do not pile up."""
        queue = self._holder.queue
        consumers: Any = await queue.redis.xinfo_consumers(queue.keys.name("running"), GROUP)
        for consumer in consumers:
            if consumer["pending"] == 0 and consumer["idle"] > FORGET_CONSUMER_MS:
                await queue.redis.xgroup_delconsumer(queue.keys.name("running"), GROUP, consumer["name"])

    async def sign_off(self) -> None:
        """This worker goes: it is no longer counted. What it could not hand back stays with its lease."""
        holder, queue = self._holder, self._holder.queue
        with contextlib.suppress(*AWAY, ResponseError):
            await queue.redis.zrem(queue.keys.name("workers"), holder.name)
            consumers: Any = await queue.redis.xinfo_consumers(queue.keys.name("running"), GROUP)
            if any(c["name"] == holder.name.encode() and c["pending"] == 0 for c in consumers):
                await queue.redis.xgroup_delconsumer(queue.keys.name("running"), GROUP, holder.name)
