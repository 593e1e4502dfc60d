"""One blocking reader per process: tells listeners what happens in the queue. A signal may be lost, so all poll too."""

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Callable

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from service.redis.failures import AWAY
from service.redis.keys import RedisKeys

log = logging.getLogger("ganymede.jobs")

KINDS = ("work", "events", "cancel", "versions")
QUIET_S = 5.0  # after this long without a word the link is probed; after twice as long it is made anew


async def rest_until(event: asyncio.Event, longest_s: float) -> None:
    """Sleep until somebody sets the event, or so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(longest_s):
            await event.wait()


class Signals:
    """Listens to the queue's channels on one connection. Listeners get the id or lane; `None` means: look yourself.

    Everybody who listens also polls now and then, so a lost signal costs time and nothing else.
    """

    def __init__(self, redis: Redis, keys: RedisKeys) -> None:
        self._redis = redis
        self._channels = {keys.name(f"signal_{kind}").encode(): kind for kind in KINDS}
        self._listeners: dict[str, list[Callable[[str | None], None]]] = {kind: [] for kind in KINDS}
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def listen(self, kind: str, listener: Callable[[str | None], None]) -> None:
        """Call `listener` at each signal of a kind of KINDS. It must not block."""
        self._listeners[kind].append(listener)
        if self._task is None:
            outlives_caller = contextvars.Context()  # its log lines are not about the request that came first
            self._task = asyncio.create_task(self._read(), name="queue-signals", context=outlives_caller)

    async def close(self) -> None:
        """Stop listening."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _read(self) -> None:
        while not self._closed:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(*[channel.decode() for channel in self._channels])
                    self._tell_all()
                    await self._read_until_silent(pubsub)
            except AWAY as error:
                log.debug("signals interrupted: %s", error)
                await asyncio.sleep(0.2)

    async def _read_until_silent(self, pubsub: PubSub) -> None:
        """Hand out messages; return when a probe stays unanswered (a cut link says nothing by itself)."""
        probed = False
        while not self._closed:
            message = await pubsub.get_message(timeout=QUIET_S)
            if message is None:
                if probed:
                    return
                await pubsub.ping()
                probed = True
                continue
            probed = False
            if message["type"] == "message":
                self._tell(self._channels[message["channel"]], message["data"].decode())

    def _tell(self, kind: str, word: str | None) -> None:
        for listener in self._listeners[kind]:
            listener(word)

    def _tell_all(self) -> None:
        for kind in self._listeners:
            self._tell(kind, None)
