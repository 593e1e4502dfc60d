"""Uploads of jobs: a large one never lies in Redis, survives until its job is done, and leaves nothing behind."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.jobs.queue import JobQueue
from service.operations import sets
from tests.conftest import AppClient, ClientFactory
from tests.service.images.uploads.pictures import photo, saved

ASYNC = {"prefer": "respond-async", "content-type": "application/octet-stream"}
URL = "/upsample?model=tiny-lapgan&seed=1"
INLINE = {"result_inline_bytes": 16 << 10}


def large_picture() -> bytes:
    """A BMP of 100 KB and more, which no compression makes small."""
    return saved(photo(200, 200), "BMP")


async def longest_value(client: AppClient) -> int:
    """Bytes of the longest field of all job inputs in Redis."""
    redis = client.app.state.ganymede.redis
    sizes = [0]
    for key in await redis.keys("*input:*"):
        sizes += [len(value) for value in (await redis.hgetall(key)).values()]
    return max(sizes)


async def ended(client: httpx.AsyncClient, job: dict[str, Any]) -> str:
    async with asyncio.timeout(60):
        while (record := (await client.get(f"/jobs/{job['id']}")).json())["state"] in ("queued", "running"):
            await asyncio.sleep(0.05)
    return str(record["state"])


async def until_empty(folder: Path) -> None:
    async with asyncio.timeout(10):
        while any(folder.rglob("input-*")):
            await asyncio.sleep(0.02)


async def test_a_large_upload_lies_in_the_results_store(
    client_with: ClientFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis gets a mark; the job gives what the request gives at once; then the file is gone."""
    data, seen = large_picture(), []
    plain = JobQueue.enqueue

    async def watched(self: JobQueue, *words: Any, **options: Any) -> Any:
        job = await plain(self, *words, **options)
        seen.append(await longest_value(client))
        return job

    monkeypatch.setattr(JobQueue, "enqueue", watched)
    async with client_with(**INLINE) as client:
        job = (await client.post(URL, content=data, headers=ASYNC)).json()
        assert await ended(client, job) == "succeeded"
        now = await client.post(URL, content=data, headers={**ASYNC, "prefer": "", "accept": "application/x-npy"})
        then = await client.get(f"/jobs/{job['id']}/result", headers={"accept": "application/x-npy"})
        assert now.content == then.content
        assert seen
        assert max(seen) < 1000
        await until_empty(tmp_path / "data" / "results")


async def test_what_is_refused_or_repeated_leaves_no_upload(client_with: ClientFactory, tmp_path: Path) -> None:
    """A full queue, and a second request under one Idempotency-Key."""
    results = tmp_path / "data" / "results"
    async with client_with(**INLINE, role="api", max_jobs=1) as client:
        once = {**ASYNC, "idempotency-key": "one"}
        jobs = [(await client.post(URL, content=large_picture(), headers=once)).json()["id"] for _ in range(2)]
        assert jobs[0] == jobs[1]
        assert (await client.post(URL, content=large_picture(), headers=ASYNC)).status_code == 429
        assert [file.parent.name for file in results.rglob("input-*")] == jobs[:1]
        state = client.app.state.ganymede
        await sets.sweep(state)
        assert [file.parent.name for file in results.rglob("input-*")] == jobs[:1]
        await client.post(f"/jobs/{jobs[0]}/cancel")
        await sets.sweep(state)
        assert not any(results.rglob("input-*"))


async def test_an_upload_that_looks_like_a_mark_is_a_picture_that_cannot_be_read(client_with: ClientFactory) -> None:
    """What a stranger sends names no file of ours."""
    mark = b'GANYMEDE-STORED {"name": "../../secret", "bytes": 1, "sha256": "0", "shape": []}'
    async with client_with(**INLINE) as client:
        answer = await client.post(URL, content=mark, headers=ASYNC)
        assert answer.status_code in {400, 415, 422}


async def test_a_picture_survives_the_way_through_the_store(client_with: ClientFactory) -> None:
    """The same pixels as through Redis, where the limit is high."""
    stacks = []
    for limit in (1 << 20, 1 << 10):
        async with client_with(result_inline_bytes=limit) as client:
            job = (await client.post(URL, content=large_picture(), headers=ASYNC)).json()
            assert await ended(client, job) == "succeeded"
            got = await client.get(f"/jobs/{job['id']}/result", headers={"accept": "application/x-npy"})
            stacks.append(np.frombuffer(got.content, np.uint8))
    np.testing.assert_array_equal(stacks[0], stacks[1])
