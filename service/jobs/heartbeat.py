"""The heartbeat of a worker: a thread that renews its leases, so that a busy event loop does not lose what it holds.

That makes short leases safe, and with them a killed worker's jobs go to the others within seconds. A loop that is stuck
for good must lose its jobs all the same: the thread stands in for it for `stall_s` at most.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection

from redis import Redis
from redis.exceptions import ResponseError

from service.jobs.queue import JobQueue
from service.jobs.scripts import SCRIPTS
from service.redis.connect import blocking_client
from service.redis.failures import AWAY

log = logging.getLogger("ganymede.jobs")

BEATS_A_LEASE = 5
WORKER_TTL_S = 60.0  # a worker that is silent for longer is no longer counted


class Heartbeat:
    """Beats for the worker `name`. `held` is what it holds now; `lost(mid)` hears, in the loop, what it holds no more."""

    def __init__(self, queue: JobQueue, name: str, held: Collection[str], lost: Callable[[str], None]) -> None:
        self._queue, self._name, self._held, self._lost = queue, name, held, lost
        self.every_s = queue.settings.lease_s / BEATS_A_LEASE
        self._stop = threading.Event()
        self._turned = time.monotonic()
        self._since: float | None = None
        self.away = False
        """Whether the last beat did not reach Redis."""
        self._thread: threading.Thread | None = None
        self._turning: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to beat; call it in the event loop whose life it shows."""
        loop = asyncio.get_running_loop()
        self._turning = asyncio.create_task(self._turn(), name="heartbeat")
        self._thread = threading.Thread(target=self._run, args=(loop,), name="heartbeat", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """No further beat; what is still held goes to others when its lease ends."""
        self._stop.set()
        if self._turning is not None and self._thread is not None:
            self._turning.cancel()
            await asyncio.to_thread(self._thread.join, 2.0)

    def steady_s(self) -> float:
        """For how long every beat has reached Redis. After an outage the others, too, need a moment to renew theirs."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    async def _turn(self) -> None:
        while True:
            self._turned = time.monotonic()
            await asyncio.sleep(self.every_s / 2)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.closing(blocking_client(self._queue.redis, timeout_s=max(1.0, 2 * self.every_s))) as redis:
            stuck = False
            while not self._stop.is_set():
                was, stuck = stuck, time.monotonic() - self._turned > self._queue.settings.stall_s
                if not stuck:
                    self._try(redis, loop)
                elif not was:
                    log.error("the event loop is stuck; its jobs go to other workers")
                self._stop.wait(self.every_s)

    def _try(self, redis: Redis, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._beat(redis, loop)
            self._since, self.away = self._since or time.monotonic(), False
        except AWAY:
            self._since, self.away = None, True
        except ResponseError as error:  # full: leases are renewed all the same, only the list of workers is not
            log.debug("heartbeat: %s", error)
        except RuntimeError:  # the loop is closed: the worker is gone
            self._stop.set()

    def _beat(self, redis: Redis, loop: asyncio.AbstractEventLoop) -> None:
        keys, now = self._queue.keys, time.time()
        if mids := tuple(self._held):
            words = [keys.name("running"), f"{keys.tag}:", self._name, *mids]
            gone: list[bytes] = redis.eval(SCRIPTS["beat"], 1, *words)
            for mid in gone:
                loop.call_soon_threadsafe(self._lost, mid.decode())
        redis.zadd(keys.name("workers"), {self._name: now})
        redis.zremrangebyscore(keys.name("workers"), "-inf", now - WORKER_TTL_S)
