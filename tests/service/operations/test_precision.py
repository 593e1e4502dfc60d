"""`precision=fast`: asked for by anybody, told how far it may be from exact, one seed one picture all the same."""

import asyncio
import io
import json
import sys
from collections.abc import Mapping
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.runtimes.openvino_runtime import OpenVinoRuntime
from save_files import read_recipe
from service.settings import Settings
from tests.conftest import ROOT, ClientFactory

NPY, JSON = {"accept": "application/x-npy"}, {"accept": "application/json"}
SHIPPED = ["cifar32-lapgan", "mnist-gan", "fashion32"]


@pytest.fixture(autouse=True)
def whoever_draws_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speed is measured in bench/: here OpenVINO always counts as faster, so that there is something to compare."""
    pytest.importorskip("openvino")
    monkeypatch.setattr("models.runtimes.trial.GAIN", 1000.0)
    monkeypatch.setattr("models.runtimes.trial.NOT_SLOWER", 1000.0)
    monkeypatch.setattr("models.runtimes.trial.TIMED_S", 0.0)
    monkeypatch.setattr("models.runtimes.auto.BUDGET_S", 1000.0)


async def stack(client: httpx.AsyncClient, **body: Any) -> tuple[NDArray[np.int16], Mapping[str, str]]:
    answer = await client.post("/sample", json=body, headers=NPY)
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content)).astype(np.int16), answer.headers


def bounds(headers: Mapping[str, str]) -> dict[str, float]:
    pairs = (pair.split("=") for pair in headers["ganymede-difference"].split(", "))
    return {name: float(value) for name, value in pairs}


def pixels(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)))


async def test_whoever_says_nothing_gets_the_bytes_of_ever(client_with: ClientFactory) -> None:
    """Exact is the default, says nothing of a precision, and is the same beside fast requests."""
    assert Settings().precision == "exact"
    async with client_with() as client:
        body = {"model": "tiny-lapgan", "seed": 5}
        before = await client.post("/sample", json=body)
        await client.post("/sample", json={**body, "precision": "fast"})
        both = [client.post("/sample", json={**body, "precision": wish}) for wish in ("exact", "fast")]
        exact, fast = await asyncio.gather(*both)
        assert exact.content == before.content != fast.content
        assert "ganymede-precision" not in exact.headers
        assert "precision" not in (read_recipe(exact.content) or {})


async def test_recipe_and_headers_say_how_far_it_may_be(client_with: ClientFactory) -> None:
    """Runtime, machine and bound in the recipe; precision and bound in the headers; GET /models tells it afterwards."""
    async with client_with() as client:
        assert (await client.get("/models/tiny")).json()["fast"] is None
        answer = await client.post("/sample", json={"model": "tiny", "seed": 5, "precision": "fast"})
        recipe = read_recipe(answer.content) or {}
        assert answer.headers["ganymede-precision"] == recipe["precision"] == "fast"
        assert recipe["provider"] == answer.headers["ganymede-provider"] != "CPUExecutionProvider"
        assert recipe["difference"] == bounds(answer.headers)
        fast = (await client.get("/models/tiny")).json()["fast"]
        assert fast == {"provider": recipe["provider"], "difference": {**recipe["difference"], "seeds": 64}}


@pytest.mark.parametrize("model", ["tiny", "tiny-labels", "tiny-lapgan"])
async def test_one_seed_is_one_picture_alone_and_in_company(client_with: ClientFactory, model: str) -> None:
    """In a batch, beside exact requests, alone, and after a restart that measures nothing."""
    async with client_with() as client:
        wishes = [stack(client, model=model, seed=0, n=40, precision=wish) for wish in ("fast", "exact")]
        (together, _), _ = await asyncio.gather(*wishes)
        for seed in (0, 7, 39):
            assert np.array_equal((await stack(client, model=model, seed=seed, precision="fast"))[0][0], together[seed])
    async with client_with(max_batch=16) as client:
        assert np.array_equal((await stack(client, model=model, seed=7, precision="fast"))[0][0], together[7])


@pytest.mark.parametrize("name", SHIPPED)
async def test_the_bound_holds_on_seeds_that_were_not_measured(client_with: ClientFactory, name: str) -> None:
    """Measured on seeds 0 to 63 with a margin; 64 others of a shipped bundle stay within it."""
    bundle = ROOT / "models" / "exports" / name
    async with client_with(bundles=(bundle,), default_model=name) as client:
        fast, headers = await stack(client, seed=5000, n=64, precision="fast")
        exact, _ = await stack(client, seed=5000, n=64)
        steps = np.abs(fast - exact)
        assert steps.max() <= bounds(headers)["largest"]
        assert steps.mean(axis=(1, 2, 3)).max() <= bounds(headers)["mean"]
        alone, _ = await stack(client, seed=5003, precision="fast")
        assert np.array_equal(alone[0], fast[3])


async def test_without_openvino_fast_is_exact_and_says_so(
    client_with: ClientFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exact pixels, the exact provider by name, a difference of nothing."""
    monkeypatch.setitem(sys.modules, "openvino", None)  # an import that fails
    monkeypatch.setattr("models.runtimes.openvino_runtime._core", lambda: __import__("openvino"))
    async with client_with() as client:
        exact = await client.post("/sample", json={"seed": 5})
        fast = await client.post("/sample", json={"seed": 5, "precision": "fast"})
    assert np.array_equal(pixels(exact.content), pixels(fast.content))
    assert bounds(fast.headers) == {"largest": 0, "mean": 0}
    assert (read_recipe(fast.content) or {})["provider"] == fast.headers["ganymede-provider"] == "CPUExecutionProvider"


async def test_the_setting_decides_for_who_names_none(client_with: ClientFactory) -> None:
    """Both ways: a request may ask for exact there. Jobs carry what the server was set to."""
    async with client_with(precision="fast") as client:
        assert (await client.post("/sample", json={"seed": 5})).headers["ganymede-precision"] == "fast"
        assert (await client.post("/sample", json={"seed": 5})).headers["ganymede-precision"] == "fast"
        assert (
            "ganymede-precision" not in (await client.post("/sample", json={"seed": 5, "precision": "exact"})).headers
        )
        job = await client.post("/sample", json={"seed": 5}, headers={"prefer": "respond-async"})
        done = await client.get(job.headers["location"] + "/result?wait=30", headers={"accept": "image/png"})
        async with asyncio.timeout(30):
            while done.status_code == 202:
                await asyncio.sleep(0.05)
                done = await client.get(job.headers["location"] + "/result", headers={"accept": "image/png"})
        assert done.headers["ganymede-precision"] == "fast"


async def test_an_address_says_its_precision(client_with: ClientFactory) -> None:
    """The url of a fast picture leads to its bytes, whatever the server is set to, and is not kept for ever."""
    for setting in ("exact", "fast"):
        async with client_with(precision=setting) as client:
            body = {"model": "tiny", "seed": 5, "precision": "fast"}
            made = await client.post("/sample", json=body)
            envelope = (await client.post("/sample", json=body, headers=JSON)).json()
            url = envelope["data"][0]["url"]
            found = await client.get(url)
            assert "precision=fast" in url
            assert found.content == made.content
            assert "immutable" not in found.headers["cache-control"]
            plain = await client.get(url.partition("?")[0])
            assert "immutable" in plain.headers["cache-control"]
            assert "ganymede-precision" not in plain.headers
            assert plain.headers["etag"] != found.headers["etag"]


async def test_every_operation_takes_it_and_redo_asks_for_it_again(client_with: ClientFactory) -> None:
    """Arithmetic, walks, pyramids of uploads and the inference protocol; a save file alone brings the same bytes back."""
    coarse = io.BytesIO()
    Image.new("RGB", (4, 4), (90, 120, 30)).save(coarse, "PNG")
    png, fast = {"accept": "image/png"}, {"precision": "fast"}
    async with client_with() as client:
        wish = {"expression": "seed(3) + seed(4)", "model": "tiny", **fast}
        walk = {"stops": [1, 2], "model": "tiny", "frames": 4, **fast}
        equation = {**wish, "layout": "equation"}
        sharp: dict[str, str | int] = {"model": "tiny-lapgan", "seed": 1, **fast}
        made = [
            await client.post("/arithmetic", json=wish, headers=png),
            await client.post("/arithmetic", json=equation, headers=png),
            await client.post("/interpolate", json=walk, headers=png),
            await client.post("/sample", json={"model": "tiny-labels", "n": 3, "seed": 1, **fast}, headers=png),
            await client.post(
                "/upsample", params=sharp, content=coarse.getvalue(), headers=png | {"content-type": "image/png"}
            ),
        ]
        for answer in made:
            assert answer.headers.get("ganymede-precision") == "fast", answer.text
        for answer in made[:-1]:
            again = await client.post("/redo", json={"recipe": read_recipe(answer.content)}, headers=png)
            assert again.content == answer.content
        tensor = {"name": "seed", "datatype": "UINT32", "shape": [1], "data": [5]}
        infer = {"inputs": [tensor], "parameters": fast}
        answer = await client.post("/v2/models/tiny/infer", json=infer)
        assert answer.headers["ganymede-precision"] == "fast"


async def test_redo_says_when_another_machine_made_it(client_with: ClientFactory) -> None:
    """The note names who computed it then and who computes now; a precision that is none is refused."""
    async with client_with() as client:
        made = await client.post("/sample", json={"model": "tiny", "seed": 5, "precision": "fast"})
        recipe = read_recipe(made.content) or {}
        same = (await client.post("/redo", json={"recipe": recipe}, headers=JSON)).json()
        assert "notes" not in same
        foreign = {**recipe, "machine": "0" * 16, "provider": "OpenVINO-amx"}
        note = (await client.post("/redo", json={"recipe": foreign}, headers=JSON)).json()["notes"][0]
        assert "OpenVINO-amx" in note
        assert str(recipe["provider"]) in note
        refused = await client.post("/redo", json={"recipe": {**recipe, "precision": "rough"}})
        assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")


async def test_an_unknown_precision_is_a_problem(client_with: ClientFactory) -> None:
    """422 with the field's name, on every way in."""
    async with client_with() as client:
        answers = [
            await client.post("/sample", json={"seed": 5, "precision": "rough"}),
            await client.get("/images/tiny/5.png?precision=rough"),
            await client.post("/v2/models/tiny/infer", json={"inputs": [], "parameters": {"precision": ["fast"]}}),
        ]
    for answer in answers:
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert "precision" in json.dumps(answer.json()["errors"])


async def test_the_first_fast_request_keeps_nobody_waiting(
    client_with: ClientFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many may wait for one opening; exact pictures are answered meanwhile; a caller who leaves spoils nothing."""
    gate = __import__("threading").Event()
    opened: list[str] = []

    def slow(self: OpenVinoRuntime, *given: Any, **more: Any) -> None:
        opened.append("once")
        gate.wait(30)
        real(self, *given, **more)

    real = OpenVinoRuntime.__init__
    monkeypatch.setattr(OpenVinoRuntime, "__init__", slow)
    async with client_with() as client:
        waiting = [
            asyncio.create_task(client.post("/sample", json={"seed": k, "precision": "fast"})) for k in range(50)
        ]
        await asyncio.sleep(0.2)
        assert (await client.post("/sample", json={"seed": 5})).status_code == 200
        waiting.pop().cancel()
        assert len(opened) <= 1
        gate.set()
        assert {(await task).status_code for task in waiting} == {200}
