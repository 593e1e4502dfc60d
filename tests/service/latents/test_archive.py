"""Export and import: what is saved can leave, and come back as it was."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from service.errors import ConflictError, InvalidValueError, MalformedError, ServiceError
from service.latents import Draft, LatentStore, Parent
from service.latents.archive import export, read, restore
from service.redis.keys import RedisKeys

VECTOR = np.linspace(-1, 1, 7, dtype=np.float32)
DRAFT = Draft("a", "faces64", "0123456789abcdef", VECTOR, "values", tags=("t",), notes={"k": 1}, created=1.5e9)


@pytest.fixture
async def store(redis: Redis, keys: RedisKeys) -> LatentStore:
    store = LatentStore(redis, keys, quota_per_model=50)
    a = await store.save(DRAFT)
    await store.save(replace(DRAFT, name="b", vector=-VECTOR, parents=(Parent(a.id, "a"),), expression="-a"))
    return store


async def file_of(store: LatentStore) -> bytes:
    return b"".join([line async for line in export(store)])


async def test_round_trip_after_a_wipe(store: LatentStore, redis: Redis, keys: RedisKeys) -> None:
    """Export, wipe, import: the same names, numbers, order, tags, times and lineage."""
    data = await file_of(store)
    await redis.delete(*await redis.keys(f"{keys.name('saved', what='latent')}:*"))
    assert (await store.page()).items == []
    done = await restore(store, read(data, "latent"), "refuse")
    assert done.saved == ["a", "b"]
    a, b = await store.get("a"), await store.get("b")
    assert (a.vector.tobytes(), b.vector.tobytes()) == (VECTOR.tobytes(), (-VECTOR).tobytes())
    assert (a.tags, a.notes, a.created, b.expression) == (("t",), {"k": 1}, 1.5e9, "-a")
    assert b.parents == (Parent(a.id, "a"),)
    assert [item.name for item in (await store.page()).items] == ["b", "a"]


async def test_taken_names(store: LatentStore) -> None:
    """A taken name is refused as a whole, skipped, renamed or replaced, as the caller wishes."""
    records = read(await file_of(store), "latent")
    with pytest.raises(ConflictError, match="nothing was imported"):
        await restore(store, records, "refuse")
    assert (await restore(store, records, "skip")).skipped == ["a", "b"]
    assert (await restore(store, records, "rename")).renamed == {"a": "a-2", "b": "b-2"}
    assert (await store.get("b-2")).parents[0].id == (await store.get("a-2")).id
    old = (await store.get("a")).id
    assert (await restore(store, records, "replace")).saved == ["a", "b"]
    assert (await store.get("a")).id != old
    assert await store.count() == 4
    assert (await restore(store, records, "rename")).renamed == {"a": "a-3", "b": "b-3"}


async def test_a_long_name_is_shortened_for_its_number(store: LatentStore) -> None:
    """So that it is still a name."""
    records = [replace(record, name="n" * 64) for record in read(await file_of(store), "latent")]
    assert (await restore(store, records, "rename")).saved == ["n" * 64, "n" * 58 + "-2"]


async def test_what_is_exported_can_be_chosen(store: LatentStore) -> None:
    """By tag, model and prefix, as in a listing; a file of nothing is a file."""
    chosen = b"".join([line async for line in export(store, prefix="b")])
    assert [record.name for record in read(chosen, "latent")] == ["b"]
    assert read(b"".join([line async for line in export(store, tag="none")]), "latent") == []


async def test_a_damaged_file_is_refused_before_anything_is_saved(store: LatentStore) -> None:
    """A changed number, a cut file, another file, a stray field: each is a sentence that names the line."""
    data = await file_of(store)
    lines = [json.loads(line) for line in data.splitlines()]
    cases: list[tuple[bytes, type[ServiceError], str]] = [
        (b"", MalformedError, "line 1"),
        (data[:-20], MalformedError, "line 3 is not JSON"),
        (data.splitlines()[0], MalformedError, "0 of 2"),
        (_file([lines[0], {**lines[1], "data": lines[2]["data"]}, lines[2]]), InvalidValueError, "sha256"),
        (_file([lines[0], {**lines[1], "name": "../x"}, lines[2]]), InvalidValueError, "line 2: name"),
        (_file([lines[0], {**lines[1], "oops": 1}, lines[2]]), InvalidValueError, "oops"),
        (
            _file([lines[0], {**lines[1], "data": "\u0293AAA"}, lines[2]]),
            InvalidValueError,
            "line 2: data is not base64",
        ),
        (_file([{**lines[0], "what": "direction"}]), InvalidValueError, "directions"),
        (_file([{**lines[0], "version": 2}, *lines[1:]]), MalformedError, "no ganymede-latents file of version 1"),
        (_file([{**lines[0], "format": "other"}, *lines[1:]]), MalformedError, "no ganymede-latents file"),
        (_file([lines[0], [1], lines[2]]), MalformedError, "line 2 is not a JSON object"),
        (_file([*lines, lines[1]]), MalformedError, "3 of 2"),
        (
            _file([lines[0], {**lines[1], "data": "AAAAAAA="}, lines[2]]),
            InvalidValueError,
            "line 2: the numbers of 'a'",
        ),
        (_file([lines[0], lines[1], {**lines[2], "data": "A?AA"}]), InvalidValueError, "line 3: data is not base64"),
        (b"[" * 100_000, MalformedError, "JSON"),
    ]
    for damaged, error, words in cases:
        with pytest.raises(error, match=words):
            read(damaged, "latent")


def _file(lines: list[Any]) -> bytes:
    return b"\n".join(json.dumps(line).encode() for line in lines)
