"""Bundles come and go under a running server; bad ones are refused and the others keep serving."""

import asyncio
import shutil
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.bundle import Bundle
from service.engine.model import Model, open_model
from service.http.app import build_app
from service.operations import state
from service.settings import Settings
from tests.bundles import make_tiny
from tests.conftest import ClientFactory
from tests.service.wires import Wire


async def names(client: httpx.AsyncClient) -> list[str]:
    return [model["name"] for model in (await client.get("/models")).json()["data"]]


async def until(client: httpx.AsyncClient, wanted: list[str]) -> None:
    async with asyncio.timeout(20):
        while await names(client) != wanted:
            await asyncio.sleep(0.05)


async def test_a_new_bundle_is_served_without_a_restart(
    client_with: ClientFactory, bundle_folder: Path, tmp_path: Path
) -> None:
    """Exported into a watched folder, sampled seconds later; replaced, its digest changes; removed, it is gone."""
    folder = tmp_path / "mine"
    shutil.copytree(bundle_folder / "tiny", folder / "tiny")
    async with client_with(bundles=(folder,), bundle_poll_s=0.05) as client:
        assert await names(client) == ["tiny"]
        await asyncio.to_thread(make_tiny, folder, "fresh", None, 7)
        await until(client, ["fresh", "tiny"])
        before = await client.post("/sample", json={"model": "fresh", "seed": 1})
        assert before.status_code == 200
        await asyncio.to_thread(make_tiny, folder, "fresh", None, 8)
        async with asyncio.timeout(20):
            while (await client.get("/models/fresh")).json().get("reference") == before.headers["ganymede-model"]:
                await asyncio.sleep(0.05)
        old = await client.get(f"/images/{before.headers['ganymede-model']}/1.png")
        assert old.status_code == 404
        shutil.rmtree(folder / "fresh")
        await until(client, ["tiny"])


async def test_a_bad_bundle_is_refused_and_named(
    client_with: ClientFactory, bundle_folder: Path, tmp_path: Path
) -> None:
    """A changed byte in one bundle: that one is refused with the reason, the other answers."""
    folder = tmp_path / "mine"
    shutil.copytree(bundle_folder / "tiny", folder / "tiny")
    shutil.copytree(bundle_folder / "tiny-labels", folder / "bad")
    graph = folder / "bad" / "level-0.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    async with client_with(bundles=(folder,)) as client:
        listing = (await client.get("/models")).json()
        assert [model["name"] for model in listing["data"]] == ["tiny"]
        assert listing["refused"][0]["folder"] == "bad"
        assert "level-0.onnx" in listing["refused"][0]["reason"]
        assert (await client.post("/sample", json={"seed": 1})).status_code == 200


async def test_a_zip_is_served(client_with: ClientFactory, bundle_folder: Path, tmp_path: Path) -> None:
    """A zip in place of a folder; replaced by what is no zip, the bundle stays served and the reason is shown."""
    source = Path(shutil.make_archive(str(tmp_path / "mine"), "zip", bundle_folder / "tiny"))
    async with client_with(bundles=(source,), bundle_poll_s=0.05) as client:
        assert await names(client) == ["tiny"]
        assert (await client.post("/sample", json={"seed": 1})).status_code == 200
        source.write_bytes(b"no zip")
        async with asyncio.timeout(20):
            while not (refused := (await client.get("/models")).json()["refused"]):
                await asyncio.sleep(0.05)
        assert refused == [{"folder": "mine.zip", "reason": "this is not a readable zip"}]
        assert await names(client) == ["tiny"]


async def test_no_bundle_is_not_ready(client_with: ClientFactory, tmp_path: Path) -> None:
    """Without any bundle the process lives, is not ready, and says so."""
    async with client_with(bundles=(tmp_path / "empty",)) as client:
        assert (await client.get("/livez")).status_code == 200
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert ready.headers["retry-after"]
        assert (await client.post("/sample", json={})).status_code == 503


async def test_the_default_bundle_is_served_while_others_open(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ready with it alone; a request for another one waits and is answered, and so do lists and what names no bundle."""
    go_on, open_as_ever = threading.Event(), open_model

    def open_slowly(bundle: Bundle, *options: Any) -> Model:
        assert bundle.name == "tiny" or go_on.wait(60)
        return open_as_ever(bundle, *options)

    monkeypatch.setattr(state, "open_model", open_slowly)
    app = build_app(Settings(bundles=(bundle_folder,), data_dir=tmp_path / "data", threads=1, default_model="tiny"))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
            assert (await client.get("/readyz")).json()["models"] == 1
            assert (await Wire(app).ask(b'{"seed": 7}'))[0] == 200
            waiting = [
                asyncio.ensure_future(client.post("/sample", json={"model": "tiny-labels", "seed": 1})),
                asyncio.ensure_future(client.get("/models")),
            ]
            await asyncio.sleep(0.2)
            assert not any(each.done() for each in waiting)
            go_on.set()
            sample, listing = await asyncio.gather(*waiting)
            assert sample.status_code == 200
            assert sample.headers["connection"] == "close", "the next one may be answered below ASGI"
            assert "connection" not in (await client.get("/models")).headers
            assert {"tiny", "tiny-labels"} <= {model["name"] for model in listing.json()["data"]}
            assert app.state.ganymede.opening is None


async def test_model_page(client_with: ClientFactory) -> None:
    """Manifest, card and limits of a bundle; a typo names the nearest."""
    async with client_with() as client:
        page = (await client.get("/models/tiny")).json()
        assert page["manifest"]["latent"]["size"] == 8
        assert page["card"].startswith("---")
        assert (await client.get("/models")).json()["limits"]["pictures_per_request"] > 0
        missing = await client.get("/models/tinny")
        assert missing.status_code == 404
        assert "tiny" in missing.json()["detail"]
        assert (await client.get("/models/tiny/preview.png")).status_code == 404
