"""Sets: more pictures than an answer holds, made as a job in parts, kept in the results store, streamed."""

import asyncio
import io
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from service.operations import sets
from tests.conftest import ClientFactory
from tests.stores import BUCKET

NPY, NPZ, ZIP = ({"accept": f"application/{kind}"} for kind in ("x-npy", "x-npz", "zip"))
SMALL = {"max_pictures": 20, "async_pictures": 10}
WISH = {"n": 50, "seed": 7}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of eight tiny pictures."""
    monkeypatch.setattr(sets, "CHUNK_PIXELS", 8 * 16 * 16)


async def ordered(client: httpx.AsyncClient, **wish: Any) -> dict[str, Any]:
    answer = await client.post("/sample", json={**WISH, **wish})
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def ended(client: httpx.AsyncClient, job: dict[str, Any]) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (record := (await client.get(f"/jobs/{job['id']}")).json())["state"] in ("queued", "running"):
            await asyncio.sleep(0.05)
    return dict(record)


async def singles(client: httpx.AsyncClient, seeds: range) -> np.ndarray:
    """The same pictures, asked for as ordinary answers."""
    stacks = [
        np.load(
            io.BytesIO((await client.post("/sample", json={"seeds": list(seeds[k : k + 10])}, headers=NPY)).content)
        )
        for k in range(0, len(seeds), 10)
    ]
    return np.concatenate(stacks)


async def check_set(client: httpx.AsyncClient, job: dict[str, Any]) -> None:
    """Every representation has the very pictures that single answers have."""
    assert (await ended(client, job))["state"] == "succeeded"
    url, expected = f"/jobs/{job['id']}/result", await singles(client, range(7, 57))
    np.testing.assert_array_equal(np.load(io.BytesIO((await client.get(url, headers=NPY)).content)), expected)
    packed = np.load(io.BytesIO((await client.get(url, headers=NPZ)).content))
    np.testing.assert_array_equal(packed["images"], expected)
    assert packed["seeds"].tolist() == list(range(7, 57))
    with zipfile.ZipFile(io.BytesIO((await client.get(url, headers=ZIP)).content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{seed}.png" for seed in range(7, 57)]
        np.testing.assert_array_equal(np.asarray(Image.open(archive.open("30.png"))), expected[23])
    part = np.load(io.BytesIO((await client.get(f"{url}?first=13&count=9", headers=NPY)).content))
    np.testing.assert_array_equal(part, expected[13:22])


async def test_a_set_is_what_single_answers_are(client_with: ClientFactory, tmp_path: Path) -> None:
    """50 pictures where an answer holds 20: parts lie in the store, next to nothing in Redis; slices as any picture."""
    async with client_with(**SMALL) as client:
        job = await ordered(client)
        await check_set(client, job)
        record = (await client.get(f"/jobs/{job['id']}")).json()
        assert record["progress"] == {"done": 50, "total": 50, "unit": "picture"}
        assert len(list((tmp_path / "data" / "results" / job["id"]).iterdir())) == 7
        kept = await client.app.state.ganymede.jobs.result(job["id"])
        assert len(kept) < 3000
        url = f"/jobs/{job['id']}/result"
        sheet = await client.get(f"{url}?count=4", headers={"accept": "image/png"})
        assert Image.open(io.BytesIO(sheet.content)).size == (34, 34)
        assert (await client.get(url, headers={"accept": "image/png"})).status_code == 406
        assert (await client.get(f"{url}?first=50")).status_code == 422
        assert (await client.get(url)).headers["content-type"] == "application/zip"


async def test_an_object_store(client_with: ClientFactory, s3: Any) -> None:
    """GANYMEDE_RESULTS names a bucket: the same set from there; a removed part is 410."""
    async with client_with(**SMALL, results=f"s3://{BUCKET}/results") as client:
        job = await ordered(client)
        await check_set(client, job)
        s3.rm(f"{BUCKET}/results/{job['id']}", recursive=True)
        single = await client.get(f"/jobs/{job['id']}/result?count=4", headers={"accept": "image/png"})
        assert single.status_code == 410


async def test_what_ends_leaves_nothing(client_with: ClientFactory, tmp_path: Path) -> None:
    """Canceled, or expired: the sweep removes the parts, and the quota is free again."""
    async with client_with(**SMALL, job_result_ttl_s=1) as client:
        state = client.app.state.ganymede
        canceled, finished = await ordered(client, n=5000), await ordered(client)
        await client.post(f"/jobs/{canceled['id']}/cancel")
        assert (await ended(client, canceled))["state"] == "canceled"
        assert (await ended(client, finished))["state"] == "succeeded"
        await asyncio.sleep(1.2)
        (tmp_path / "data" / "results" / "not-ours").mkdir()
        await sets.sweep(state)
        assert [folder.name for folder in (tmp_path / "data" / "results").iterdir()] == ["not-ours"]
        assert await state.redis.hlen(state.keys.name("stored")) == 0
        assert (await client.get(f"/jobs/{finished['id']}/result")).status_code == 410


async def test_many_readers_of_a_set_take_turns(client_with: ClientFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve at once: each gets the whole set, and one thread at a time is at work for them."""
    at_work, most, plain = 0, 0, sets.read_stored

    def slow(*words: Any) -> bytes:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        time.sleep(0.01)
        data = plain(*words)
        at_work -= 1
        return data

    async with client_with(**SMALL) as client:
        job = await ordered(client)
        await check_set(client, job)
        monkeypatch.setattr(sets, "read_stored", slow)
        url = f"/jobs/{job['id']}/result"
        found = await asyncio.gather(*(client.get(url, headers=NPY) for _ in range(12)))
        assert len({answer.content for answer in found}) == 1
        assert {int(answer.headers["content-length"]) for answer in found} == {len(found[0].content)}
        assert most == 1


async def test_limits(client_with: ClientFactory) -> None:
    """More than a set holds, more than the quota, and a set where no store is: refused before anything is made."""
    async with client_with(**SMALL, max_set_pictures=60, stored_bytes_per_key=100_000) as client:
        many = await client.post("/sample", json={"n": 61})
        assert (many.status_code, many.json()["errors"][0]["pointer"]) == (422, "/n")
        await ordered(client)
        full = await client.post("/sample", json={**WISH, "seed": 8})
        assert full.status_code == 429
        assert "would pass the limit of 100000" in full.json()["detail"]
        assert int(full.headers["retry-after"]) > 0
        stream = await client.post("/sample", json=WISH, headers={"accept": "text/event-stream"})
        assert "at most 20" in stream.text or "limit is 20" in stream.text


async def test_large_results_of_other_jobs(client_with: ClientFactory, tmp_path: Path) -> None:
    """A walk whose frames are more than Redis should keep lies in the store and comes in every form as before."""
    async with client_with(result_inline_bytes=1024) as client:
        walk = {"stops": [1, 2], "frames": 8}
        job = (await client.post("/interpolate", json=walk, headers={"prefer": "respond-async"})).json()
        assert (await ended(client, job))["state"] == "succeeded"
        assert (tmp_path / "data" / "results" / job["id"] / "result").is_file()
        now = await client.post("/interpolate", json=walk, headers=NPY)
        then = await client.get(f"/jobs/{job['id']}/result", headers=NPY)
        assert then.content == now.content
