"""Versions of one name side by side: picked by digest everywhere, switched, unloaded and loaded under load."""

import asyncio
import io
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest

from models.bundle import Bundle, read_bundle
from service.auth.keys import new_key
from tests.bundles import make_tiny
from tests.conftest import ClientFactory
from tests.service.servers import Server

NPY = {"accept": "application/x-npy"}
LATER = {"prefer": "respond-async"}


@pytest.fixture(scope="module")
def old(tiny: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The version whose folder comes first."""
    folder = tmp_path_factory.mktemp("old")
    shutil.copytree(tiny.folder, folder / "tiny")
    return read_bundle(folder / "tiny")


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Other weights under the same name."""
    return make_tiny(tmp_path_factory.mktemp("new"), "tiny", seed=9)


@pytest.fixture
def both(old: Bundle, new: Bundle) -> tuple[Path, ...]:
    return (old.folder.parent, new.folder.parent)


async def sampled(client: httpx.AsyncClient, model: str, seed: int = 7) -> np.ndarray:
    answer = await client.post("/sample", json={"model": model, "seed": seed}, headers=NPY)
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


async def choose(client: httpx.AsyncClient, bundle: Bundle) -> None:
    answer = await client.put(f"/models/{bundle.name}/default", json={"digest": bundle.digest})
    assert answer.status_code == 200, answer.text


async def meaning(client: httpx.AsyncClient, name: str = "tiny") -> str:
    return str((await client.get(f"/models/{name}")).json()["reference"])


async def until_meaning(client: httpx.AsyncClient, bundle: Bundle) -> None:
    async with asyncio.timeout(10):
        while await meaning(client) != bundle.reference:
            await asyncio.sleep(0.02)


async def test_the_digest_picks_everywhere(
    client_with: ClientFactory, both: tuple[Path, ...], old: Bundle, new: Bundle
) -> None:
    """Both are listed; requests, addresses, latents, jobs, tensors and the Images API tell them apart."""
    async with client_with(bundles=both) as client:
        rows = (await client.get("/models")).json()["data"]
        assert [(row["reference"], row["is_default"]) for row in rows] == [
            (old.reference, True),
            (new.reference, False),
        ]
        first, second = await sampled(client, old.reference), await sampled(client, new.reference)
        assert not np.array_equal(first, second)
        np.testing.assert_array_equal(await sampled(client, "tiny"), first)
        address = await client.get(f"/images/{new.reference}/7.npy")
        np.testing.assert_array_equal(np.load(io.BytesIO(address.content)), second)
        body = {"name": "kept", "model": new.reference, "from": {"seed": 7}}
        assert (await client.post("/latents", json=body)).json()["model"] == new.reference
        shown = await client.post("/arithmetic", json={"expression": "kept"})
        assert shown.headers["ganymede-model"] == new.reference
        inputs = {"inputs": [{"name": "seed", "datatype": "UINT32", "shape": [1], "data": [7]}]}
        for path in (f"/v2/models/tiny/versions/{new.digest}/infer", f"/v2/models/{new.reference}/infer"):
            answer = (await client.post(path, json=inputs)).json()
            assert answer["model_version"] == new.digest
            np.testing.assert_array_equal(np.ravel(answer["outputs"][0]["data"]), second.ravel())
        prompt = {"prompt": "seed:7", "model": new.reference, "response_format": "url"}
        url = (await client.post("/v1/images/generations", json=prompt)).json()["data"][0]["url"]
        assert f"/images/{new.reference}/7" in url
        job = await client.post("/sample", json={"model": new.reference, "seed": 7}, headers=LATER)
        assert job.json()["model"] == new.reference
        other = await client.get(f"/images/tiny@{'0' * 16}/7.png")
        assert other.status_code == 404
        assert old.digest in other.json()["detail"]


async def test_a_switch_reaches_all_and_outlives_a_restart(
    client_with: ClientFactory, both: tuple[Path, ...], old: Bundle, new: Bundle, server: Server
) -> None:
    """Two servers on one Redis: what one is told the other does at once, and so does one that starts afterwards."""
    shared = {"bundles": both, "redis_url": server.url, "redis_namespace": "versions"}
    async with client_with(**shared, bundle_poll_s=60) as one, client_with(**shared, bundle_poll_s=60) as two:
        assert await meaning(two) == old.reference
        await choose(one, new)
        await until_meaning(two, new)
        assert (await one.get("/models")).json()["default"] == "tiny"
        assert (await two.post("/sample", json={"seed": 1})).headers["ganymede-model"] == new.reference
        await one.post(f"/v2/repository/models/{old.reference}/unload")
        async with asyncio.timeout(10):
            while (await two.get("/models")).json()["unloaded"] != [old.reference]:
                await asyncio.sleep(0.02)
    async with client_with(**shared) as again:
        assert await meaning(again) == new.reference
        assert (await again.get("/models")).json()["unloaded"] == [old.reference]
        await again.post(f"/v2/repository/models/{old.reference}/load")
        await choose(again, old)
        assert await meaning(again) == old.reference


async def test_unloading_and_loading(
    client_with: ClientFactory, both: tuple[Path, ...], old: Bundle, new: Bundle
) -> None:
    """An unloaded version is gone for requests and listed as such; without the default one the name means the other."""
    async with client_with(bundles=both) as client:
        gone = await client.post(f"/v2/repository/models/{old.reference}/unload")
        assert gone.json() == {"name": old.reference, "versions": [old.digest]}
        assert await meaning(client) == new.reference
        refused = await client.post("/sample", json={"model": old.reference})
        assert (refused.status_code, refused.json()["detail"]) == (404, f"{old.reference} is unloaded")
        states = {row["version"]: row["state"] for row in (await client.post("/v2/repository/index")).json()}
        assert states == {new.digest: "READY", old.digest: "UNAVAILABLE"}
        ready = (await client.post("/v2/repository/index", json={"ready": True})).json()
        assert [row["version"] for row in ready] == [new.digest]
        assert (await client.get("/models")).json()["unloaded"] == [old.reference]
        await client.post("/v2/repository/models/tiny/unload")
        assert (await client.post("/sample", json={})).status_code == 503
        loaded = await client.post("/v2/repository/models/tiny/load", json={"parameters": {"unload_dependents": False}})
        assert sorted(loaded.json()["versions"]) == sorted([old.digest, new.digest])
        assert await meaning(client) == old.reference
        assert (await client.post("/v2/repository/models/nothing/load")).status_code == 404
        assert (await client.post("/v2/repository/models/tinny/unload")).status_code == 404
        changed = {"parameters": {"config": "{}"}}
        assert (await client.post("/v2/repository/models/tiny/load", json=changed)).status_code == 422


async def test_a_job_that_was_accepted_is_finished(
    client_with: ClientFactory, both: tuple[Path, ...], old: Bundle, server: Server
) -> None:
    """An API without an engine takes the job, the version is unloaded, then a worker comes: the job succeeds."""
    shared = {"bundles": both, "redis_url": server.url, "redis_namespace": "accepted"}
    async with client_with(**shared, role="api") as api:
        job = (await api.post("/sample", json={"model": old.reference, "seed": 3}, headers=LATER)).json()
        await api.post(f"/v2/repository/models/{old.reference}/unload")
        assert (await api.post("/sample", json={"model": old.reference})).status_code == 404
        async with client_with(**shared) as worker:
            async with asyncio.timeout(20):
                while (state := (await worker.get(f"/jobs/{job['id']}")).json()["state"]) in ("queued", "running"):
                    await asyncio.sleep(0.05)
            assert state == "succeeded"
            assert (await worker.post("/sample", json={"model": old.reference})).status_code == 404
            await worker.post("/v2/repository/models/tiny/load")


async def test_nothing_is_dropped_under_load(
    client_with: ClientFactory, both: tuple[Path, ...], old: Bundle, new: Bundle
) -> None:
    """Eight callers ask by name while the default goes to and fro and the other version is unloaded and loaded again:
    every answer is a picture, and exactly that of the version it names."""
    async with client_with(bundles=both) as client:
        expected = {bundle.reference: await sampled(client, bundle.reference) for bundle in (old, new)}
        served: dict[str, int] = dict.fromkeys(expected, 0)
        done = asyncio.Event()

        async def call() -> None:
            while not done.is_set():
                answer = await client.post("/sample", json={"model": "tiny", "seed": 7}, headers=NPY)
                assert answer.status_code == 200, answer.text
                reference = answer.headers["ganymede-model"]
                np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), expected[reference])
                served[reference] += 1

        async def switch() -> None:
            try:
                for chosen, other in [(new, old), (old, new)] * 4:
                    await choose(client, chosen)
                    assert (await client.post(f"/v2/repository/models/{other.reference}/unload")).status_code == 200
                    await asyncio.sleep(0.05)
                    assert (await client.post(f"/v2/repository/models/{other.reference}/load")).status_code == 200
            finally:
                done.set()

        await asyncio.gather(switch(), *[call() for _ in range(8)])
        assert min(served.values()) > 10, served


async def test_only_admin_keys_decide(
    client_with: ClientFactory, both: tuple[Path, ...], new: Bundle, tmp_path: Path
) -> None:
    """Reading what there is takes any key; switching, loading and unloading take the scope admin."""
    plain, plain_row = new_key("plain", ["sample", "latents:write"], 600)
    admin, admin_row = new_key("admin", ["admin"], 600)
    (tmp_path / "keys.toml").write_text(plain_row + admin_row)
    async with client_with(bundles=both, api_keys_file=tmp_path / "keys.toml") as client:
        asked = [
            ("PUT", "/models/tiny/default", {"digest": new.digest}),
            ("POST", f"/v2/repository/models/{new.reference}/unload", {}),
            ("POST", f"/v2/repository/models/{new.reference}/load", {}),
        ]
        for token, status in ((plain, 403), (admin, 200)):
            for method, path, body in asked:
                answer = await client.request(method, path, json=body, headers={"x-api-key": token})
                assert answer.status_code == status, (path, answer.text)
                assert status == 200 or "lacks the scope 'admin'" in answer.json()["detail"]
        index = await client.post("/v2/repository/index", headers={"x-api-key": plain})
        assert index.status_code == 200
