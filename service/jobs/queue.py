"""The queue as its users see it: put a job in, look at it, wait for it, cancel it. Workers use `runner`."""

import asyncio
import base64
import contextlib
import hashlib
import json
import math
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from service.errors import InvalidValueError, NotFoundError, OverloadedError
from service.jobs.events import Event, EventHub
from service.jobs.job import Job, job_from_hash, new_job_id
from service.jobs.load import Load, read_load
from service.jobs.scripts import SCRIPTS
from service.jobs.signals import Signals
from service.redis.failures import AWAY, as_service_errors
from service.redis.keys import RedisKeys

DAY_S = 86_400
EVENT_ID = re.compile(r"\d{1,20}(-\d{1,20})?")
FULL, KEY_REUSED, TOO_LATE = -1, -2, -3


@dataclass(frozen=True)
class QueueSettings:
    """Limits and times of the queue. Every process of a fleet should have the same."""

    max_jobs: int = 10_000  # waiting, delayed and running together
    result_ttl_s: float = DAY_S  # then 410
    record_ttl_s: float = 2 * DAY_S  # how long an ended job can be looked at; not shorter than an Idempotency-Key
    transient_ttl_s: float = 60.0  # immediate requests of another process: read at once, then nobody asks again
    dead_ttl_s: float = 7 * DAY_S  # how long a person has to look at the dead-letter list
    idempotency_ttl_s: float = DAY_S
    attempts: int = 5
    lease_s: float = 5.0  # five missed heartbeats
    stall_s: float = 30.0  # how long a worker's event loop may stand still before its jobs go to others


class JobQueue:
    """All processes of a fleet hold one of these on the same Redis. Create it inside a running event loop."""

    def __init__(self, redis: Redis, keys: RedisKeys, settings: QueueSettings) -> None:
        self.redis, self.keys, self.settings = redis, keys, settings
        self.signals = Signals(redis, keys)
        self._hub = EventHub(redis, keys, self.signals)
        self._scripts = {name: redis.register_script(source) for name, source in SCRIPTS.items()}

    async def close(self) -> None:
        """Stop listening; jobs stay where they are."""
        await self.signals.close()

    async def run(self, script: str, *args: Any) -> Any:
        """Run one of the Lua scripts on this queue's keys. Raises what Redis raises."""
        return await self._scripts[script](keys=[self.keys.name("running")], args=[f"{self.keys.tag}:", *args])

    async def enqueue(
        self,
        op: str,
        payload: bytes,
        attachments: Mapping[str, bytes] | None = None,
        *,
        caller: str = "anonymous",
        bulk: bool = False,
        cost: int = 1,
        deadline: float | None = None,
        idempotency_key: str | None = None,
        fingerprint: bytes = b"",
        webhook: str | None = None,
        model: str | None = None,
        request_id: str | None = None,
        trace: str | None = None,
        meta: str | None = None,
        transient: bool = False,
        job_id: str | None = None,
        chunks: Sequence[tuple[int, bytes]] = (),
    ) -> Job:
        """Accept a job; once this returns it is in Redis' log and will end, whatever is killed meanwhile.

        `cost` is in pictures; `deadline` in Unix seconds; `fingerprint` is what must be equal for the same
        `idempotency_key`; `chunks` are (cost, part) of the parts that other workers
        may take, `part` saying which one it is; `meta` is kept for whoever asks for the result; a `transient` job is not
        listed and is forgotten soon after its end; `job_id` is one of `new_job_id`, if the caller had to know it.

        Raises OverloadedError when the queue is full or the deadline cannot be met, InvalidValueError when the key was
        used for another body, StorageFullError and UnavailableError for the store.
        """
        settings = self.settings
        keep_s = math.ceil(settings.transient_ttl_s if transient else settings.record_ttl_s)
        fields = {"op": op, "model": model, "request_id": request_id, "trace": trace, "webhook": webhook, "meta": meta}
        inputs = [("payload", payload), *[(f"a:{name}", data) for name, data in (attachments or {}).items()]]
        key = _digest(caller.encode(), idempotency_key.encode()) if idempotency_key else b""
        body = _digest(op.encode(), fingerprint)
        words: list[Any] = [
            job_id or new_job_id(),
            "bulk" if bulk else "immediate",
            caller,
            cost,
            settings.max_jobs,
            key,
            body,
        ]
        words += [math.ceil(settings.idempotency_ttl_s), int(not transient), "" if deadline is None else deadline]
        words += _counted([("keep_s", keep_s), *[(name, text) for name, text in fields.items() if text is not None]])
        with as_service_errors():
            code, *found = await self.run("enqueue", *words, *_counted(inputs), *_counted(chunks))
        if code < 0:
            await self._refuse(code, cost)
        return await self.get(found[0].decode())

    async def _refuse(self, code: int, cost: int) -> None:
        if code == KEY_REUSED:
            detail = "this Idempotency-Key was used for another request; take a new key"
            raise InvalidValueError(detail, pointer="/")
        load = await self.load()
        if code == TOO_LATE:
            raise OverloadedError(
                f"{load.waiting_pictures} pictures wait; this request would miss its deadline",
                retry_after_s=load.seconds_for_pictures(max(cost, load.waiting_pictures)),
                reason="deadline",
            )
        raise OverloadedError(
            f"the queue is full ({self.settings.max_jobs} jobs)",
            retry_after_s=load.seconds_for_jobs(max(1, self.settings.max_jobs // 20)),
        )

    async def get(self, job_id: str) -> Job:
        """The record of a job, with its place in the queue. Raises NotFoundError when there is none (any more)."""
        with as_service_errors():
            record: Any = await self.redis.hgetall(self.keys.name("job", id=job_id))
            if not record:
                raise NotFoundError(f"no job {job_id[:64]!r}")
            position = await self._position(job_id, record) if record[b"state"] == b"queued" else None
        return job_from_hash(job_id, record, position)

    async def _position(self, job_id: str, record: Mapping[bytes, bytes]) -> int | None:
        """How many jobs are ahead of this one (of a split job: of its first waiting part)."""
        waits = f"{job_id}.0" if b"chunks" in record else job_id
        lane = record[b"lane"].decode()
        rank: Any = await self.redis.zrank(self.keys.name("waiting", lane=lane), waits)
        if rank is None:
            return None
        ahead: Any = await self.redis.zcard(self.keys.name("waiting", lane="immediate")) if lane == "bulk" else 0
        return int(rank) + int(ahead)

    async def list(self, *, caller: str | None = None, cursor: float | None = None, limit: int = 50) -> list[Job]:
        """Jobs, newest first, created before `cursor` (Unix seconds); only those of `caller` when one is given."""
        found: list[Job] = []
        top = f"({cursor!r}" if cursor is not None else "+inf"
        offset = 0
        while len(found) < limit:
            with as_service_errors():
                place = self.keys.name("jobs")
                ids: Any = await self.redis.zrevrangebyscore(place, top, "-inf", start=offset, num=limit)
                jobs = await self._many(ids)
            if not ids:
                break
            offset += len(ids)
            found += [job for job in jobs if caller is None or job.caller == caller]
        return found[:limit]

    async def dead(self, limit: int = 100) -> Sequence[Job]:
        """Jobs that used up their attempts, the latest first; a person looks at them and may `requeue` them."""
        with as_service_errors():
            ids: Any = await self.redis.zrevrange(self.keys.name("dead"), 0, limit - 1)
            return await self._many(ids)

    async def _many(self, ids: Sequence[bytes]) -> Sequence[Job]:
        pipe = self.redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hgetall(self.keys.name("job", id=job_id.decode()))
        records = await pipe.execute()
        return [job_from_hash(i.decode(), record) for i, record in zip(ids, records, strict=True) if record]

    async def requeue(self, job_id: str) -> Job:
        """Give a dead job its attempts back. Raises NotFoundError when it is not on the dead-letter list."""
        with as_service_errors():
            if not await self.run("requeue", job_id):
                raise NotFoundError(f"job {job_id[:64]!r} is not on the dead-letter list")
        return await self.get(job_id)

    async def cancel(self, job_id: str) -> Job:
        """Ask a job to end; idempotent. A running one stops at its next batch or level. Raises NotFoundError."""
        with as_service_errors():
            if await self.run("cancel", job_id) == -1:
                raise NotFoundError(f"no job {job_id[:64]!r}")
        return await self.get(job_id)

    async def result(self, job_id: str) -> bytes | None:
        """The packed result, or None when there is none: not finished, or expired (the record's state tells which)."""
        with as_service_errors():
            found: Any = await self.redis.get(self.keys.name("result", id=job_id))
        return None if found is None else bytes(found)

    async def forget(self, job_id: str) -> None:
        """Remove an ended transient job: its answer has been read. With Redis away its own time to live does it."""
        with contextlib.suppress(*AWAY):
            await self.redis.unlink(*[self.keys.name(row, id=job_id) for row in ("job", "result", "events", "input")])

    def events(self, job_id: str, last_id: str | None = None) -> AsyncGenerator[Event, None]:
        """Events (id, name, data) after `last_id`, as they come; ends with the one named by the job's last state."""
        return self._hub.follow(job_id, last_id if last_id and EVENT_ID.fullmatch(last_id) else "0-0")

    async def wait(self, job_id: str, timeout_s: float | None = None) -> Job:
        """Wait until the job has ended or the time is over; the record then."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                async for _ in self.events(job_id):
                    pass
        return await self.get(job_id)

    async def note(self, job_id: str, name: str, data: Mapping[str, Any]) -> None:
        """Add an event; `progress` is also kept in the record. Nothing is added once the job has ended."""
        text = json.dumps(data, default=lambda raw: base64.b64encode(raw).decode())
        await self.run("note", job_id, name, text)

    async def load(self) -> Load:
        """How much waits and how fast it goes."""
        return await read_load(self.redis, self.keys)


def _digest(*parts: bytes) -> bytes:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest().encode()


def _counted(pairs: Sequence[tuple[Any, Any]]) -> list[Any]:
    return [2 * len(pairs), *[word for pair in pairs for word in pair]]
