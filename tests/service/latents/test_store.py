"""Saved vectors: what is saved comes back bit for bit, under one name, in order, whoever else is at work."""

import asyncio
import random
import time
import uuid
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from service.errors import ConflictError, InvalidValueError, NotFoundError, StorageFullError, UnavailableError
from service.latents import Draft, LatentStore, Parent, Saved
from service.redis.connect import connect
from service.redis.keys import RedisKeys
from tests.service.servers import Server, texts


def draft(name: str, **changes: Any) -> Draft:
    vector = np.random.RandomState(abs(hash(name)) % 1000).standard_normal(8).astype(np.float32)
    return replace(Draft(name, "faces64", "0123456789abcdef", vector, "values"), **changes)


@pytest.fixture
def store(redis: Redis, keys: RedisKeys) -> LatentStore:
    return LatentStore(redis, keys, quota_per_model=50)


async def names(store: LatentStore, limit: int = 3, **filters: Any) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await store.page(cursor=cursor, limit=limit, **filters)
        found += [item.name for item in page.items]
        if (cursor := page.cursor) is None:
            return found


async def consistent(store: LatentStore, redis: Redis) -> None:
    """Names, records and every index tell the same story."""
    prefix = store._prefix
    kept = await redis.hgetall(f"{prefix}:names")
    by_name = dict(zip(texts(kept.keys()), texts(kept.values()), strict=True))
    records = {key.rsplit(":", 1)[1] for key in texts(await redis.keys(f"{prefix}:record:*"))}
    assert sorted(by_name.values()) == sorted(records)
    for name, id in by_name.items():
        assert await redis.hget(f"{prefix}:record:{id}", "name") == name.encode()
    assert set(texts(await redis.zrange(f"{prefix}:lex", 0, -1))) == set(by_name)
    assert set(texts(await redis.zrange(f"{prefix}:order:", 0, -1))) == records
    for key in await redis.keys(f"{prefix}:order:*"):
        assert set(texts(await redis.zrange(key, 0, -1))) <= records


async def test_everything_comes_back(store: LatentStore) -> None:
    """Numbers bit for bit, and parents, expression, label, seed, tags and notes as they were given."""
    wished = draft(
        "man_1",
        label="coat",
        seed=7,
        expression="a - b",
        parents=(Parent("x", "a"),),
        tags=("b", "a"),
        notes={"psnr": 31.5},
    )
    saved = await store.save(wished)
    read = await store.get("man_1")
    assert read.vector.tobytes() == wished.vector.tobytes()
    assert (read.label, read.seed, read.expression, read.tags) == ("coat", 7, "a - b", ("a", "b"))
    assert (read.parents, read.notes, read.reference) == (wished.parents, {"psnr": 31.5}, "faces64@0123456789abcdef")
    assert vars(read) | {"vector": None} == vars(saved) | {"vector": None}
    assert saved.vector.tobytes() == wished.vector.tobytes()
    assert read.created is not None
    assert time.time() - 60 < read.created <= time.time()
    assert (await store.by_id(saved.id)).name == "man_1"


async def test_a_taken_name_is_refused_or_replaced(store: LatentStore, redis: Redis) -> None:
    """A second save of one name is a conflict; with overwrite it takes the place, with a new id and no trace left."""
    first = await store.save(draft("a", tags=("old",)))
    with pytest.raises(ConflictError, match="exists"):
        await store.save(draft("a"))
    second = await store.save(draft("a", model="other"), overwrite=True)
    assert second.id != first.id
    assert await names(store, tag="old") == []
    assert await names(store, model="faces64") == []
    await consistent(store, redis)


async def test_a_job_that_runs_twice_saves_once(store: LatentStore) -> None:
    """The same token may save the same name again and gets what it saved; another one may not."""
    first = await store.save(draft("a"), token="job-1")
    assert (await store.save(draft("a"), token="job-1")).id == first.id
    with pytest.raises(ConflictError):
        await store.save(draft("a"), token="job-2")


async def test_listing_is_newest_first_and_stable(store: LatentStore) -> None:
    """Saving and deleting between two pages neither repeats nor hides anything."""
    for k in range(9):
        await store.save(draft(f"n{k}"))
    page = await store.page(limit=4)
    assert [item.name for item in page.items] == ["n8", "n7", "n6", "n5"]
    await store.save(draft("later"))
    await store.delete("n6")
    await store.delete("n4")
    rest = await store.page(limit=4, cursor=page.cursor)
    assert [item.name for item in rest.items] == ["n3", "n2", "n1", "n0"]
    assert rest.cursor is None


async def test_filters_combine(store: LatentStore) -> None:
    """Model, tag and name prefix narrow the list, alone and together."""
    for k in range(12):
        await store.save(draft(f"{'ab'[k % 2]}{k}", model=("x", "y")[k % 3 == 0], tags=("t",) if k < 6 else ()))
    assert await names(store, model="y") == ["b9", "a6", "b3", "a0"]
    assert await names(store, tag="t") == ["b5", "a4", "b3", "a2", "b1", "a0"]
    assert await names(store, model="y", tag="t") == ["b3", "a0"]
    assert await names(store, prefix="a") == ["a10", "a8", "a6", "a4", "a2", "a0"]
    assert await names(store, prefix="b", model="x", tag="t") == ["b5", "b1"]
    assert await names(store, prefix="zz") == []
    wishes: list[dict[str, Any]] = [{"model": "y"}, {"tag": "t"}, {"prefix": "a"}, {}]
    for wish in wishes:
        walked = [item async for item in store.walk(**wish)]
        assert [item.name for item in walked] == await names(store, **wish)
        assert all(np.array_equal(item.vector, draft(item.name).vector) for item in walked)
    assert (await store.count(), await store.count("y"), await store.count("none")) == (12, 4, 0)


async def test_several_are_read_at_once(store: LatentStore) -> None:
    """By name, each once; one that is missing is left out; nothing asked for is nothing."""
    for name in "abc":
        await store.save(draft(name))
    assert set(await store.find(["c", "a", "c", "x"])) == {"c", "a"}
    assert (await store.find([]), await store.find(["x"])) == ({}, {})
    with pytest.raises(NotFoundError, match="no latent named 'x'"):
        await store.get("x")
    saved = await store.get("a")
    await store.delete("a")
    with pytest.raises(NotFoundError, match="gone"):
        await store.by_id(saved.id)


async def test_a_common_prefix_is_found_by_walking(redis: Redis, keys: RedisKeys) -> None:
    """More than 2,000 names that begin alike are still listed completely, newest first; a page has 1 to 1,000."""
    store = LatentStore(redis, keys, quota_per_model=5000)
    await asyncio.gather(*(store.save(draft(f"f{k}" if k % 7 or k >= 2100 else f"g{k}")) for k in range(2500)))
    assert [len((await store.page(limit=limit)).items) for limit in (-5, 0, 1, 1000, 5000)] == [1, 1, 1, 1000, 1000]
    found, every = await names(store, limit=999, prefix="f"), await names(store, limit=999)
    assert len(every) == 2500
    assert found == [name for name in every if name.startswith("f")]


async def test_rename_and_retag(store: LatentStore, redis: Redis) -> None:
    """One step changes both; the id and the place in the list stay; a taken name is a conflict."""
    saved = await store.save(draft("a", tags=("old",)))
    await store.save(draft("b"))
    with pytest.raises(ConflictError):
        await store.change("a", new_name="b")
    changed = await store.change("a", new_name="c", tags=["new"])
    assert (changed.id, changed.name, changed.tags) == (saved.id, "c", ("new",))
    assert await names(store) == ["b", "c"]
    assert await names(store, tag="old") == []
    assert (await store.change("c", new_name="c")).id == saved.id
    await consistent(store, redis)


async def test_a_missing_name_is_answered_with_the_nearest(store: LatentStore) -> None:
    """A mistyped name gets a suggestion."""
    await store.save(draft("smiling_woman"))
    for call in (store.get("smilling_woman"), store.delete("Smiling_woman"), store.change("smiling-woman", tags=[])):
        with pytest.raises(NotFoundError, match="the nearest is 'smiling_woman'"):
            await call
    await store.save(draft("aaa"))
    await store.save(draft("smug_cat"))
    for mistyped in ("smelling_woman", "zmiling_woman", "sniling_woman"):
        with pytest.raises(NotFoundError, match="the nearest is 'smiling_woman'"):
            await store.get(mistyped)
    with pytest.raises(NotFoundError) as far:
        await store.get("xyz")
    assert "nearest" not in str(far.value)


async def test_quota_and_bad_values(store: LatentStore) -> None:
    """A full quota, bad names, bad tags and foreign cursors are refused with a sentence."""
    for k in range(50):
        await store.save(draft(f"n{k}"))
    with pytest.raises(StorageFullError, match="50 latents of faces64"):
        await store.save(draft("one-more"))
    await store.save(draft("n0"), overwrite=True)
    await store.save(draft("another-model", model="other"))
    bad_names = ["-x", "", "a b", "a\n", "ä", "n" * 65, "export", "import", "learn"]
    bad_cursors = ["1; DROP", "", "²", "1" * 16]
    bad: list[Coroutine[Any, Any, Any]] = [store.save(draft(name)) for name in bad_names] + [
        store.page(cursor=each) for each in bad_cursors
    ]
    bad += [
        store.change("n0", new_name="learn"),
        store.change("n0", tags=["a b"]),
        store.save(draft("x", tags=("a b",))),
    ]
    for call in (*bad, store.save(draft("x", tags=tuple(f"t{k}" for k in range(17))))):
        with pytest.raises(InvalidValueError):
            await call
    await store.delete("n1")
    kept = await store.save(draft("N" * 64, tags=(*(f"t{k}" for k in range(16)), "t0")))
    assert (len(kept.name), len(kept.tags)) == (64, 16)


async def test_full_memory_loses_nothing(store: LatentStore, redis: Redis) -> None:
    """When Redis has no room a save is refused as a whole, and everything saved before is still there."""
    kept = [await store.save(draft(f"n{k}")) for k in range(5)]
    await redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StorageFullError):
            await store.save(draft("late"))
    finally:
        await redis.config_set("maxmemory", 0)
    assert await names(store) == [item.name for item in reversed(kept)]
    await consistent(store, redis)


async def test_a_server_that_evicts_is_refused(redis: Redis, keys: RedisKeys) -> None:
    """Saving where Redis may throw it away is refused before anything is lost."""
    store = LatentStore(redis, keys, quota_per_model=9)
    await redis.config_set("maxmemory", 1 << 30)
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        for _ in range(2):
            with pytest.raises(UnavailableError, match="allkeys-lru"):
                await store.save(draft("a"))
        await redis.config_set("maxmemory-policy", "volatile-lru")  # takes only what was given a time to live
        assert (await store.save(draft("a"))).name == "a"
        await redis.config_set("maxmemory", 0)
        await redis.config_set("maxmemory-policy", "allkeys-lru")
        assert (await LatentStore(redis, keys, quota_per_model=9).save(draft("b"))).name == "b"
    finally:
        await redis.config_set("maxmemory-policy", "noeviction")
        await redis.config_set("maxmemory", 0)


async def test_a_server_that_is_away_is_unavailable(keys: RedisKeys) -> None:
    """No Redis is a clear 503, not a traceback."""
    client = connect("unix:///nonexistent/redis.sock")
    with pytest.raises(UnavailableError):
        await LatentStore(client, keys, quota_per_model=9).get("a")
    await client.aclose()


Steps = list[tuple[str, str, str]]
VERBS = st.sampled_from(["save", "overwrite", "rename", "retag", "delete"])
STEPS = st.lists(st.tuples(VERBS, st.sampled_from("abc"), st.sampled_from("abc")), min_size=4, max_size=14)


@settings(max_examples=40, deadline=None)
@given(workers=st.lists(STEPS, min_size=2, max_size=4), seed=st.integers(0, 99))
def test_concurrent_changes_of_one_name_neither_lose_nor_duplicate(
    workers: list[Steps], seed: int, server: Server
) -> None:
    """Whoever saves, renames, retags and deletes at once: each name has one record, no save is lost."""
    asyncio.run(_race(server.url, workers, seed))


async def _race(url: str, workers: list[Steps], seed: int) -> None:
    clients = [connect(url) for _ in workers]
    keys = RedisKeys("{t" + uuid.uuid4().hex + "}")
    stores = [LatentStore(client, keys, quota_per_model=50) for client in clients]
    done = await asyncio.gather(*(_work(s, w, random.Random(seed)) for s, w in zip(stores, workers, strict=True)))
    saved, removed = sum(d[0] for d in done), sum(d[1] for d in done)
    await consistent(stores[0], clients[0])
    count = await stores[0].count()
    assert count <= saved - removed
    if not any(step == "overwrite" for worker in workers for step, *_ in worker):
        assert count == saved - removed
    for client in clients:
        await client.aclose()


async def _work(store: LatentStore, steps: Steps, chance: random.Random) -> tuple[int, int]:
    saved = removed = 0
    for step, name, other in steps:
        await asyncio.sleep(chance.random() / 1000)
        try:
            if step == "rename":
                await store.change(name, new_name=other)
            elif step == "retag":
                await store.change(name, tags=[other])
            elif step == "delete":
                await store.delete(name)
                removed += 1
            else:
                made: Saved = await store.save(draft(name), overwrite=step == "overwrite")
                saved += bool(made.id)
        except (ConflictError, NotFoundError):
            continue
    return saved, removed
