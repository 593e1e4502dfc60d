"""What each process of `--processes N` runs: a keeper of the embedded Redis, and N full servers."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import partial

from service.processes.connection_sharing import ConnectionShare, ConnectionTable
from service.processes.supervisor import Child
from service.redis.embedded import EmbeddedRedis, die_with_parent
from service.settings import Settings

log = logging.getLogger("ganymede.process_group")
Ready = Callable[[], None]


ServeOne = Callable[[Settings, Ready, ConnectionShare], None]


def children_of(settings: Settings, serve_one: ServeOne) -> list[Child]:
    """The children in the order of starting. `serve_one(settings, ready, share)` runs one server until it is drained."""
    found, table, supervisor = [], ConnectionTable(process_count(settings)), os.getpid()
    if settings.redis_url is None:
        embedded = EmbeddedRedis(settings.data_dir, appendfsync=settings.redis_appendfsync)
        settings = settings.model_copy(update={"redis_url": embedded.url})
        found.append(Child("redis", lambda ready: keep_redis(embedded, supervisor, ready)))
    for index in range(process_count(settings)):
        run = partial(_tied, serve_one, supervisor, share_of(settings, index), ConnectionShare(table, index))
        found.append(Child(f"server {index}", run, ended=partial(table.mark_away, index)))
    return found


def process_count(settings: Settings) -> int:
    """Servers to run: the setting, or one a core."""
    return settings.processes or settings.cores


def share_of(settings: Settings, index: int) -> Settings:
    """The settings of one server: its share of threads and of the queue."""
    count = process_count(settings)
    return settings.model_copy(
        update={
            "processes": count,
            "process_index": index,
            "threads": settings.threads or max(1, settings.cores // count),
            "encode_threads": settings.encode_threads or max(1, settings.cores // count),
            "queue_pictures": max(1, settings.queue_pictures // count),
        }
    )


def keep_redis(embedded: EmbeddedRedis, supervisor: int, ready: Ready) -> None:
    """Start or adopt the server of the data folder and keep it alive until SIGTERM, or until the supervisor is gone."""
    _tie_to(supervisor)

    async def keep() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await embedded.start()
        ready()
        await stop.wait()
        await embedded.stop()

    asyncio.run(keep())


def _tied(serve_one: ServeOne, supervisor: int, settings: Settings, share: ConnectionShare, ready: Ready) -> None:
    _tie_to(supervisor)
    serve_one(settings, ready, share)


def _tie_to(supervisor: int) -> None:
    """End when the supervisor (a process id; 1 in a container) is killed, so that nothing is left behind. A terminal's
    ctrl-C reaches the supervisor alone, which drains us in order."""
    os.setpgid(0, 0)
    die_with_parent()
    if os.getppid() != supervisor:  # it died before it could be waited for
        sys.exit("the supervisor is gone")
