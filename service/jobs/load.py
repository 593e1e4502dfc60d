"""How much waits and how fast it goes: what a truthful Retry-After is computed from."""

from dataclasses import dataclass, field

from redis.asyncio import Redis

from service.redis.keys import RedisKeys

UNKNOWN_S = 5.0  # what is said before anything was measured
LONGEST_S = 3600.0


@dataclass(frozen=True)
class Load:
    """Counts of the queue, and work done per second in which anything ran (idle time does not slow the estimate)."""

    waiting_immediate: int = 0
    waiting_bulk: int = 0
    delayed: int = 0
    running: int = 0
    dead: int = 0
    workers: int = 0
    waiting_pictures: int = 0
    pictures_per_s: float = 0.0
    jobs_per_s: float = 0.0
    ended: dict[str, int] = field(default_factory=dict)

    def seconds_for_pictures(self, pictures: int) -> float:
        """Seconds in which so many pictures are done at the measured rate."""
        return _seconds(pictures, self.pictures_per_s)

    def seconds_for_jobs(self, jobs: int) -> float:
        """Seconds in which so many jobs end at the measured rate."""
        return _seconds(jobs, self.jobs_per_s)

    def counts(self) -> dict[str, float]:
        """Jobs by state. Ended states count up for as long as the store lives."""
        queued = self.waiting_immediate + self.waiting_bulk + self.delayed
        return {"queued": queued, "running": self.running, "dead": self.dead, **self.ended}


async def read_load(redis: Redis, keys: RedisKeys) -> Load:
    """One round trip; all numbers are of one moment."""
    pipe = redis.pipeline(transaction=True)
    for row, lane in (("waiting", "immediate"), ("waiting", "bulk"), ("delayed", ""), ("dead", ""), ("workers", "")):
        pipe.zcard(keys.name(row, lane=lane))
    pipe.xlen(keys.name("running"))
    pipe.hget(keys.name("fair", lane="immediate"), "@cost")
    pipe.hget(keys.name("fair", lane="bulk"), "@cost")
    pipe.hgetall(keys.name("rate"))
    immediate, bulk, delayed, dead, workers, running, cost, bulk_cost, rate = await pipe.execute()
    busy = float(rate.get(b"busy", 0))
    return Load(
        waiting_immediate=immediate,
        waiting_bulk=bulk,
        delayed=delayed,
        running=running,
        dead=dead,
        workers=workers,
        waiting_pictures=int(cost or 0) + int(bulk_cost or 0),
        pictures_per_s=float(rate[b"pictures"]) / busy if busy > 0 else 0.0,
        jobs_per_s=float(rate[b"jobs"]) / busy if busy > 0 else 0.0,
        ended={name[6:].decode(): int(count) for name, count in rate.items() if name.startswith(b"ended:")},
    )


def _seconds(amount: int, per_s: float) -> float:
    return min(LONGEST_S, amount / per_s) if per_s > 0 else UNKNOWN_S
