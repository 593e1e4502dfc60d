"""The events of jobs, for any number of readers in one process over the one blocking connection of Signals."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncGenerator
from typing import Any

from redis.asyncio import Redis

from service.jobs.job import ENDED
from service.jobs.signals import Signals, rest_until
from service.redis.failures import AWAY
from service.redis.keys import RedisKeys

Event = tuple[str, str, dict[str, Any]]  # id (for Last-Event-ID), name, data
LOOK_AGAIN_S = 3.0  # a signal may be lost while the link is cut


class EventHub:
    """Follows events. A thousand readers cost short range reads when something happens, and no connection each."""

    def __init__(self, redis: Redis, keys: RedisKeys, signals: Signals) -> None:
        self._redis, self._keys, self._signals = redis, keys, signals
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._listening = False

    async def follow(self, job_id: str, last_id: str = "0-0") -> AsyncGenerator[Event, None]:
        """Events of a job after `last_id`, as they come, up to the one that ends it. Waits while Redis is away."""
        if not self._listening:
            self._listening = True
            self._signals.listen("events", self._wake)
        news = asyncio.Event()
        self._waiting[job_id].add(news)
        over = False
        try:
            while True:
                news.clear()
                events = await self._after(job_id, last_id)
                for event in events:
                    last_id = event[0]
                    yield event
                    if event[1] in ENDED:
                        return
                if over and not events:
                    return
                over = not events and await self._is_over(job_id)  # then look once more: it may just have ended
                if not over:
                    await rest_until(news, LOOK_AGAIN_S)
        finally:
            self._waiting[job_id].discard(news)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    def _wake(self, job_id: str | None) -> None:
        woken = [job_id] if job_id is not None else list(self._waiting)
        for one in woken:
            for news in self._waiting.get(one, ()):
                news.set()

    async def _after(self, job_id: str, last_id: str) -> list[Event]:
        try:
            rows: Any = await self._redis.xrange(self._keys.name("events", id=job_id), min=f"({last_id}", count=100)
        except AWAY:
            await asyncio.sleep(0.2)
            return []
        return [(row_id.decode(), row[b"e"].decode(), json.loads(row[b"d"])) for row_id, row in rows or []]

    async def _is_over(self, job_id: str) -> bool:
        """Whether no further event can come: the job is gone, or it ended and the reader has seen that already."""
        try:
            state: Any = await self._redis.hget(self._keys.name("job", id=job_id), "state")
            return state is None or state.decode() in ENDED
        except AWAY:
            return False
