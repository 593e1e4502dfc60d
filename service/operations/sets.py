"""Results that lie in the results store: large ones whole, sets of pictures part by part, so that no process holds them.

In Redis stands a mark that says where they are, how long they are and what their digest is.
"""

import asyncio
import hashlib
import json
import math
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeGuard

from pydantic import BaseModel

from service.engine.model import Model
from service.errors import GoneError, InvalidValueError, OverloadedError, ServiceError
from service.jobs.job import Job, created_at
from service.jobs.results import Results
from service.operations.generate import pixels_of
from service.operations.results import Pictures, Result, pack, unpack
from service.operations.sample import SampleRequest, precheck, precheck_set
from service.operations.state import State
from service.redis.failures import as_service_errors

MARK = b"GANYMEDE-STORED "
CHUNK_PIXELS = 1 << 20
"""Pixels that one part of a set has at most: a worker computes a dozen of them side by side, and a reader who
does not go on holds one."""
MOST_PARTS = 4_000
ACCEPTING_S = 600.0
"""Inputs are put away before their job is known; so long they are taken for those of one that will be."""


@dataclass(frozen=True)
class Stored:
    """Bytes in the store. A part of a set says what it holds: `count` pictures of `shape` [h, w, c]."""

    name: str
    bytes: int
    sha256: str
    count: int = 0
    shape: tuple[int, ...] = ()
    model: str = ""
    provider: str = ""

    @classmethod
    def of(cls, fields: dict[str, Any]) -> "Stored":
        """From its JSON."""
        return cls(**{**fields, "shape": tuple(fields["shape"])})


@dataclass(frozen=True)
class StoredSet:
    """A set of pictures in parts. All pictures have one shape."""

    store: Results
    parts: tuple[Stored, ...]

    @property
    def count(self) -> int:
        """Pictures in all."""
        return sum(part.count for part in self.parts)

    @property
    def shape(self) -> tuple[int, ...]:
        """[h, w, c] of each."""
        return self.parts[0].shape

    def groups(self, first: int, count: int) -> Iterator[Pictures]:
        """The pictures `first` … `first + count - 1` in order, a part at a time. Blocks while it reads.

        Between two parts it holds neither, so that a reader who does not come back costs no memory.
        """
        start = 0
        for part in self.parts:
            low, high = max(first - start, 0), min(first + count - start, part.count)
            if low < high:
                yield self._some_of(part, low, high)
            start += part.count

    def _some_of(self, part: Stored, low: int, high: int) -> Pictures:
        whole = _pictures(read_stored(self.store, part))
        return replace(whole, pictures=whole.pictures[low:high])


def is_set(request: BaseModel, state: State) -> TypeGuard[SampleRequest]:
    """Whether a request is for a set: of seeds, and larger than an answer may be."""
    if state.results is None or not isinstance(request, SampleRequest):
        return False
    if request.latents is not None or request.save_as is not None:
        return False
    model = state.catalogue.get(request.model)
    many = request.count > state.settings.max_pictures
    return many or pixels_of(model, request.count, request.scale) > state.settings.max_result_pixels


def precheck_either(state: State, request: SampleRequest) -> Model:
    """Refuse now what neither an answer nor a set can hold. Raises what `precheck` raises."""
    return precheck_set(state, request) if is_set(request, state) else precheck(state, request)


def part_size(model: Model, request: SampleRequest) -> int:
    """Pictures in one part of a set."""
    fitting = CHUNK_PIXELS // max(1, pixels_of(model, 1, request.scale))
    return max(1, min(256, fitting), math.ceil(request.count / MOST_PARTS))


def bytes_of(model: Model, request: SampleRequest) -> int:
    """About how many bytes a set takes in the store: its pixels, and half a kilobyte of recipe each."""
    return pixels_of(model, request.count, request.scale) * model.manifest.image.channels + 512 * request.count


async def check_quota(state: State, caller: str, request: SampleRequest) -> int:
    """The bytes a set will take. Raises OverloadedError when the caller's sets would pass the quota."""
    wanted, limit = bytes_of(state.catalogue.get(request.model), request), state.settings.stored_bytes_per_key
    held = [entry for entry in (await _entries(state)).values() if entry["caller"] == caller]
    used = sum(entry["bytes"] for entry in held)
    if wanted > limit:
        detail = f"the set would take {wanted} bytes; a caller may keep {limit}"
        raise InvalidValueError(detail, pointer="/n")
    if used + wanted > limit:
        detail = f"{used} bytes of sets are kept for {caller!r}; {wanted} more would pass the limit of {limit}"
        raise OverloadedError(detail, retry_after_s=state.settings.job_result_ttl_s / 10, reason="quota")
    return wanted


async def note_set(state: State, job: Job, size: int) -> None:
    """Count a set that was accepted against its caller's quota."""
    entry = json.dumps({"caller": job.caller, "bytes": size})
    with as_service_errors():
        await state.redis.hset(state.keys.name("stored"), job.id, entry)


async def _entries(state: State) -> dict[str, dict[str, Any]]:
    with as_service_errors():
        found: Any = await state.redis.hgetall(state.keys.name("stored"))
    return {job_id.decode(): json.loads(entry) for job_id, entry in found.items()}


def packed(state: State, job: Job, result: Result, *, part: bool) -> bytes:
    """What the queue keeps of a result: itself, or a mark when it is large or `part` of a set. Blocks while it writes."""
    if part and isinstance(result, Pictures):
        result = replace(result, timing_ms={})  # how long it took is no part of the bytes
    data = pack(result)
    if state.results is None or not (part or (job.bulk and len(data) > state.settings.result_inline_bytes)):
        return data
    state.results.put(_name(job), data)
    return _mark({"whole": asdict(_described(job, data, result, part=part))})


def made_before(state: State, job: Job) -> bytes | None:
    """The mark of a part that an attempt wrote whole before it was killed; None when it is to be made. Blocks."""
    try:
        data = need_store(state.results).read(_name(job))
        return _mark({"whole": asdict(_described(job, data, unpack(data), part=True))})
    except (ServiceError, ValueError, struct.error, KeyError, TypeError):
        return None


def _name(job: Job) -> str:
    """Job and part, so that an attempt that is made again writes the same bytes to the same place."""
    folder, _, index = job.id.partition(".")
    return f"{folder}/{index or 'result'}"


def _described(job: Job, data: bytes, result: Result, *, part: bool) -> Stored:
    stored = Stored(_name(job), len(data), hashlib.sha256(data).hexdigest())
    if not part or not isinstance(result, Pictures):
        return stored
    count, shape = len(result.pictures), result.pictures[0].pixels.shape
    return replace(stored, count=count, shape=shape, model=result.model, provider=result.provider)


def joined(store: Results | None, parts: Sequence[bytes]) -> bytes | list[Result]:
    """The mark of a set from those of its parts; or the parts themselves, where they are no set."""
    marks = [_whole(part) for part in parts]
    if all(mark is not None and mark.count for mark in marks):
        return _mark({"set": [asdict(mark) for mark in marks if mark is not None]})
    return [
        unpack(part if mark is None else read_stored(need_store(store), mark))
        for part, mark in zip(parts, marks, strict=True)
    ]


def opened(store: Results | None, data: bytes) -> Result | StoredSet:
    """The result behind what the queue keeps. Blocks while it reads. Raises GoneError when it is no longer there."""
    if not data.startswith(MARK):
        return unpack(data)
    mark = json.loads(data[len(MARK) :])
    if "set" in mark:
        return StoredSet(need_store(store), tuple(Stored.of(part) for part in mark["set"]))
    return unpack(read_stored(need_store(store), Stored.of(mark["whole"])))


def read_stored(store: Results, stored: Stored) -> bytes:
    """The bytes, compared with their digest."""
    data = store.read(stored.name)
    if hashlib.sha256(data).hexdigest() != stored.sha256:
        raise ServiceError("a part of the result is damaged in the results store")
    return data


async def sweep(state: State) -> int:
    """Remove what no job needs any more: ended badly, expired, or unknown. Returns how many jobs' results went."""
    if state.results is None:
        return 0
    entries, gone = await _entries(state), 0
    for job_id in {*await asyncio.to_thread(state.results.jobs), *entries}:
        if not await _is_needed(state, job_id):
            await asyncio.to_thread(state.results.remove, job_id)
            await state.redis.hdel(state.keys.name("stored"), job_id)
            gone += 1
    return gone


async def _is_needed(state: State, job_id: str) -> bool:
    """While the job is being accepted or is under way, and afterwards as long as its result is kept."""
    record: Any = await state.redis.hget(state.keys.name("job", id=job_id), "state")
    if record is None:
        return time.time() - created_at(job_id) < ACCEPTING_S
    if record in (b"failed", b"canceled", b"expired"):
        return record == b"failed" and await state.redis.zscore(state.keys.name("dead"), job_id) is not None
    return record != b"succeeded" or bool(await state.redis.exists(state.keys.name("result", id=job_id)))


def _pictures(data: bytes) -> Pictures:
    result = unpack(data)
    if not isinstance(result, Pictures):
        raise ServiceError("a part of the set holds no pictures")
    return result


def _whole(data: bytes) -> Stored | None:
    return Stored.of(json.loads(data[len(MARK) :])["whole"]) if data.startswith(MARK) else None


def _mark(content: dict[str, Any]) -> bytes:
    return MARK + json.dumps(content, separators=(",", ":")).encode()


def need_store(store: Results | None) -> Results:
    """The store. Raises GoneError where this process has none."""
    if store is None:
        raise GoneError("this process has no results store; every process of a fleet needs the same GANYMEDE_RESULTS")
    return store
