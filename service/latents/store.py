"""The store: save, read, list, rename, retag and delete named vectors, each as one atomic step in Redis.

Knows nothing of HTTP, bundles or pictures. Every replica may use it at once; nothing is cached here.
"""

import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from redis.asyncio import Redis

from service.errors import ConflictError, InvalidValueError, NotFoundError, StorageFullError, UnavailableError
from service.latents import scripts
from service.latents.names import check_name, nearest_hint
from service.latents.record import Draft, Saved, check_tags, describe, from_fields, to_bytes
from service.redis.failures import as_service_errors
from service.redis.keys import RedisKeys

PAGE_LIMIT = 1000
SCAN_BUDGET = 5000
SIMILAR_NAMES = 500
CHECK_EVERY_S = 30.0
RESERVED = {"export", "import", "learn"}
"""Words that stand where a name would in an address."""


@dataclass(frozen=True)
class Page:
    """One page of a listing, newest first, without the numbers. `cursor` None: that was the last."""

    items: list[Saved]
    cursor: str | None


class LatentStore:
    """Named vectors of one kind, `what`: latent or direction."""

    def __init__(self, redis: Redis, keys: RedisKeys, *, quota_per_model: int, what: str = "latent") -> None:
        self._redis: Any = redis  # the stubs of redis-py know text answers only; here they are bytes
        self._prefix = keys.name("saved", what=what)
        self._quota = quota_per_model
        self.what = what
        self._checked_at = -CHECK_EVERY_S
        register = redis.register_script
        self._save, self._change = register(scripts.SAVE), register(scripts.CHANGE)
        self._delete, self._page = register(scripts.DELETE), register(scripts.PAGE)

    async def save(self, draft: Draft, *, overwrite: bool = False, token: str = "") -> Saved:
        """Keep a vector under its name. The same `token` (a job's id) saving the same name again changes nothing.

        Raises ConflictError when the name is taken, StorageFullError when the model's quota or the memory is full,
        UnavailableError when Redis is away or might evict what it was asked to keep.
        """
        draft = replace(draft, name=_free_to_give(draft.name), tags=check_tags(draft.tags))
        await self._refuse_eviction()
        created = time.time() if draft.created is None else draft.created
        facts, tags = describe(draft), json.dumps(draft.tags)
        values: list[Any] = [
            self._prefix,
            uuid.uuid4().hex,
            draft.name,
            tags,
            repr(created),
            facts,
            to_bytes(draft.vector),
        ]
        with as_service_errors():
            verdict, id, *sequence = await self._save(
                keys=[self._key("names")], args=[*values, self._quota, int(overwrite), token]
            )
        self._refuse(verdict, draft)
        if verdict == b"kept":
            return await self.by_id(id.decode())
        return Saved(**{**vars(draft), "created": created}, id=id.decode(), sequence=int(sequence[0]))

    def _refuse(self, verdict: bytes, draft: Draft) -> None:
        if verdict == b"taken":
            raise ConflictError(f"a {self.what} named {draft.name!r} exists; choose another name or set replace")
        if verdict == b"full":
            raise StorageFullError(
                f"{self._quota} {self.what}s of {draft.model} are saved, which is the limit; delete some first"
            )

    async def get(self, name: str) -> Saved:
        """The vector of that name. Raises NotFoundError that suggests the nearest names."""
        found = (await self.find([name])).get(name)
        if found is None:
            raise NotFoundError(f"no {self.what} named {name!r}{await self._hint(name)}")
        return found

    async def find(self, names: Sequence[str]) -> dict[str, Saved]:
        """Those of the names that exist."""
        wanted = list(dict.fromkeys(names))
        if not wanted:
            return {}
        with as_service_errors():
            ids = await self._redis.hmget(self._key("names"), wanted)
            records = await self._records([id.decode() for id in ids if id])
        return {record.name: record for record in records if record.name in wanted}

    async def by_id(self, id: str) -> Saved:
        """The vector with that id. Raises NotFoundError."""
        with as_service_errors():
            records = await self._records([id])
        if not records:
            raise NotFoundError(f"that {self.what} is gone")
        return records[0]

    async def _records(self, ids: Sequence[str]) -> list[Saved]:
        pipe = self._redis.pipeline(transaction=False)
        for id in ids:
            pipe.hgetall(self._key(f"record:{id}"))
        return [from_fields(id, fields) for id, fields in zip(ids, await pipe.execute(), strict=True) if fields]

    async def page(
        self,
        *,
        model: str | None = None,
        tag: str | None = None,
        prefix: str = "",
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """A page of the newest first. What is saved or deleted meanwhile neither repeats nor hides another.

        A page may hold fewer than `limit` and still have a cursor. Raises InvalidValueError for a broken cursor.
        """
        before = "+inf" if cursor is None else f"({_sequence_of(cursor)}"
        args: list[Any] = [self._prefix, before, min(max(limit, 1), PAGE_LIMIT), prefix, SCAN_BUDGET]
        with as_service_errors():
            rows = await self._page(keys=[self._key(f"order:{scope_of(model, tag)}")], args=args)
        names = (b"name", b"tags", b"created", b"sequence", b"facts")
        pairs = zip(rows[1::2], rows[2::2], strict=True)
        items = [from_fields(id.decode(), dict(zip(names, row, strict=True))) for id, row in pairs if row[0]]
        return Page(items, rows[0].decode() or None)

    async def walk(self, *, model: str | None = None, tag: str | None = None, prefix: str = "") -> AsyncIterator[Saved]:
        """Every matching vector with its numbers, newest first, page by page."""
        cursor: str | None = None
        while True:
            page = await self.page(model=model, tag=tag, prefix=prefix, cursor=cursor, limit=200)
            with as_service_errors():
                records = await self._records([item.id for item in page.items])
            for record in records:
                yield record
            if (cursor := page.cursor) is None:
                return

    async def count(self, model: str | None = None) -> int:
        """How many are saved, of one model or of all."""
        with as_service_errors():
            return int(await self._redis.zcard(self._key(f"order:{scope_of(model, None)}")))

    async def change(self, name: str, *, new_name: str | None = None, tags: Sequence[str] | None = None) -> Saved:
        """Rename, retag or both in one step. Raises NotFoundError, or ConflictError when the new name is taken."""
        new_name = name if new_name is None else _free_to_give(new_name)
        text = "" if tags is None else json.dumps(check_tags(tuple(tags)))
        with as_service_errors():
            verdict, *rest = await self._change(keys=[self._key("names")], args=[self._prefix, name, new_name, text])
        if verdict == b"missing":
            raise NotFoundError(f"no {self.what} named {name!r}{await self._hint(name)}")
        if verdict == b"taken":
            raise ConflictError(f"a {self.what} named {new_name!r} exists already")
        id, flat = rest[0].decode(), rest[1]
        return from_fields(id, dict(zip(flat[::2], flat[1::2], strict=True)))

    async def delete(self, name: str) -> None:
        """Remove a vector. Its children keep its id and name as their parent. Raises NotFoundError."""
        with as_service_errors():
            if await self._delete(keys=[self._key("names")], args=[self._prefix, name]) is None:
                raise NotFoundError(f"no {self.what} named {name!r}{await self._hint(name)}")

    async def similar_names(self, name: str) -> list[str]:
        """Names that begin alike, for suggestions: the longest shared beginning that has any, then the first ones."""
        for length in (4, 2, 1, 0):
            start = name[:length]
            with as_service_errors():
                low, high = f"[{start}" if start else "-", b"(" + start.encode() + b"\xff" if start else b"+"
                names = await self._redis.zrangebylex(self._key("lex"), low.encode(), high, start=0, num=SIMILAR_NAMES)
            if names:
                return [found.decode() for found in names]
        return []

    async def _hint(self, name: str) -> str:
        return nearest_hint(name, await self.similar_names(name))

    async def _refuse_eviction(self) -> None:
        """A server that evicts under pressure would lose saved work without a word: refuse to save there."""
        if time.monotonic() - self._checked_at < CHECK_EVERY_S:
            return
        with as_service_errors():
            memory: dict[str, Any] = await self._redis.info("memory")
        policy = str(memory.get("maxmemory_policy", "noeviction"))
        if int(memory.get("maxmemory", 0)) and policy.startswith("allkeys"):
            raise UnavailableError(f"Redis runs with maxmemory-policy {policy} and might evict it; set noeviction")
        self._checked_at = time.monotonic()

    def _key(self, rest: str) -> str:
        return f"{self._prefix}:{rest}"


def scope_of(model: str | None, tag: str | None) -> str:
    """The name of the index that holds exactly the vectors of a model, a tag, both or neither."""
    return ",".join(part for part in (f"m={model}" if model else "", f"t={tag}" if tag else "") if part)


def _free_to_give(name: str) -> str:
    if name in RESERVED:
        raise InvalidValueError(
            f"{name!r} is the address of something else; choose another name",
            pointer="/name",
            hint=f"not one of {', '.join(sorted(RESERVED))}",
        )
    return check_name(name)


def _sequence_of(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 15):
        raise InvalidValueError("that cursor was not given by this server", pointer="/cursor")
    return int(cursor)
