"""What is said of a bundle, of versions, of a server's state and of a picture's address."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from models.bundle import write_manifest
from models.runtimes.difference import Difference
from service.engine.catalogue import Catalogue
from service.engine.model import Model
from service.http.app import VERSION
from service.http.routes.health import why_not_ready
from service.http.routes.images import caching_headers
from service.http.routes.models import fast_of, summary
from tests.conftest import ClientFactory


async def test_a_row_says_what_one_needs_to_choose(client: httpx.AsyncClient) -> None:
    """Everything but the files; what it does not have is null."""
    row = (await client.get("/models")).json()["data"][0]
    full = (await client.get("/models/tiny")).json()
    assert row == {key: value for key, value in full.items() if key not in ("manifest", "card")}
    digest, provider = row.pop("digest"), row.pop("provider")
    assert len(digest) == 16
    assert provider
    assert row == {
        "name": "tiny",
        "reference": f"tiny@{digest}",
        "is_default": True,
        "family": "tiny",
        "description": "random weights, for tests",
        "fast": None,
        "image": {"width": 16, "height": 16, "channels": 3},
        "latent": {"distribution": "standard_normal", "size": 8},
        "labels": None,
        "levels": 1,
        "samples": True,
        "upsampling": None,
        "discriminator": "real",
        "licence": "Apache-2.0",
        "scores": [],
        "preview": None,
    }
    labelled = (await client.get("/models/tiny-labels")).json()
    assert labelled["labels"] == ["red", "green", "blue"]
    pyramid = (await client.get("/models/tiny-lapgan")).json()
    assert (pyramid["levels"] > 1, pyramid["discriminator"]) == (True, None)
    assert pyramid["upsampling"]["kind"]
    assert full["manifest"]["name"] == "tiny"


def test_a_preview_is_where_its_version_is(bundle_folder: Path, tmp_path: Path) -> None:
    """Below the name for what the name means, below name and digest for another version."""
    for number in (1, 2):
        folder = Path(shutil.copytree(bundle_folder / "tiny", tmp_path / str(number) / "tiny"))
        (folder / "preview.png").write_bytes(b"a sheet")
        fields = json.loads((folder / "manifest.json").read_text())
        fields.pop("files")
        write_manifest(folder, fields | {"description": f"the {number}."})
    catalogue = Catalogue(lambda: ([tmp_path / "1", tmp_path / "2"], {}), Model, None)
    catalogue.refresh()
    chosen, other = catalogue.all()
    found = [summary(catalogue, model)["preview"] for model in (chosen, other)]
    assert found == ["/models/tiny/preview.png", f"/models/{other.reference}/preview.png"]


async def test_what_holds_nothing_is_an_empty_list(client: httpx.AsyncClient) -> None:
    """Latents, directions, jobs of a new server."""
    for path in ("/latents", "/directions", "/jobs", "/jobs/dead"):
        assert (await client.get(path)).json() == {"data": [], "next_cursor": None}, path


def test_fast_is_told_once_it_was_measured() -> None:
    """By whom, and how far from the exact pictures."""
    made: Any = SimpleNamespace(fast=SimpleNamespace(provider="bf16", difference=Difference(3, 0.5, 16)))
    assert fast_of(made) == {"provider": "bf16", "difference": {"largest": 3, "mean": 0.5, "seeds": 16}}
    made.fast = None
    assert fast_of(made) is None


async def test_repositories_are_told_what_they_may_not(client: httpx.AsyncClient) -> None:
    """Parameters that clients send without meaning anything are taken; others are named; unloading names the nearest."""
    good = {"parameters": {"unload_dependents": True}}
    assert (await client.post("/v2/repository/models/tiny/load", json=good)).status_code == 200
    wrong = await client.post("/v2/repository/models/tiny/load", json={"parameters": {"config": "{}", "zeta": 1}})
    detail = "'config' is not taken: a bundle is what lies in its folder"
    assert (wrong.status_code, wrong.json()["errors"]) == (422, [{"pointer": "/parameters", "detail": detail}])
    long = await client.post("/v2/repository/models/tiny/load", json={"parameters": {"x" * 50: 1}})
    assert long.json()["detail"].startswith(f"'{'x' * 40}' is not taken")
    missing = await client.post("/v2/repository/models/tinny/unload")
    assert (missing.status_code, "did you mean 'tiny'" in missing.json()["detail"]) == (404, True)
    rows = (await client.post("/v2/repository/index")).json()
    assert all(row["reason"] == "" for row in rows)
    digest = (await client.get("/models/tiny")).json()["digest"]
    assert {"name": "tiny", "version": digest, "state": "READY", "reason": ""} in rows
    await client.post(f"/v2/repository/models/tiny@{digest}/unload")
    rows = (await client.post("/v2/repository/index")).json()
    assert rows[-1] == {"name": "tiny", "version": digest, "state": "UNAVAILABLE", "reason": "unloaded"}
    again = await client.post("/v2/repository/models/tiny/unload")
    assert again.json() == {"name": "tiny", "versions": [digest]}, "twice is no fault"


@pytest.mark.parametrize("ready", [1, "yes", "false"])
async def test_what_is_no_boolean_is_not_read_as_one(client: httpx.AsyncClient, ready: object) -> None:
    """As in every other body: 422, and the place."""
    answer = await client.post("/v2/repository/index", json={"ready": ready})
    assert (answer.status_code, [row["pointer"] for row in answer.json()["errors"]]) == (422, ["/ready"])


def server(role: str = "all", *, away: bool = False, runs: bool = True, models: int = 1, **state: Any) -> Any:
    catalogue = SimpleNamespace(ready=state.pop("ready", True), all=lambda: ["m"] * models)
    runner = SimpleNamespace(heartbeat=SimpleNamespace(away=away)) if runs else None
    known = {"draining": False, "catalogue": catalogue, "runner": runner, "settings": SimpleNamespace(role=role)}
    return SimpleNamespace(**{**known, **state})


@pytest.mark.parametrize(
    ("state", "lacking"),
    [
        (server(), None),
        (server("worker"), None),
        (server("worker", runs=False), None),
        (server("all", away=True), None),
        (server("worker", away=True), "the store cannot be reached"),
        (server(models=0), "no bundle is loaded"),
        (server(ready=False), "no bundle is loaded"),
        (server(draining=True, models=0), "draining"),
    ],
)
def test_what_keeps_a_server_from_work(state: Any, lacking: str | None) -> None:
    """A worker's work comes from the store; the others answer without it."""
    assert why_not_ready(state) == lacking


def test_an_address_is_kept_as_long_as_it_means_the_same_bytes() -> None:
    """A year with everything in it, a minute else; the tag is of all that the bytes depend on."""
    headers = caching_headers("m@1", "cpu", "", "7.png", True)
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert caching_headers("m@1", "cpu", "", "7.png", False)["Cache-Control"] == "public, max-age=60"
    assert headers["Accept-Ranges"] == "none"
    assert len(headers["ETag"]) == 34
    assert headers["ETag"][0] == headers["ETag"][-1] == '"'
    others = [("m@2", "cpu", "", "7.png"), ("m@1", "gpu", "", "7.png"), ("m@1", "cpu", "x=1", "7.png")]
    tags = {caching_headers(*other, True)["ETag"] for other in [*others, ("m@1", "cpu", "", "8.png")]}
    assert len(tags | {headers["ETag"]}) == 5


async def test_the_reference_comes_from_this_server_alone(client: httpx.AsyncClient) -> None:
    """Its page, its start and Swagger's own files."""
    for path, kind in (("/docs", "text/html"), ("/docs/start.js", "text/javascript")):
        assert (await client.get(path)).headers["content-type"].startswith(kind)
    for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
        assert (await client.get(f"/docs/assets/{name}")).status_code == 200
    told = (await client.get("/openapi.json")).json()["info"]
    expected = {
        "title": "Ganymede",
        "summary": "A model server for generative adversarial networks",
        "version": VERSION,
    }
    assert told == expected


async def test_a_worker_has_health_and_metrics_alone(client_with: ClientFactory) -> None:
    """Nothing else that a stranger could ask."""
    async with client_with(role="worker") as client:
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await client.get(path)).status_code == 200
        for path in ("/models", "/docs", "/docs/assets/swagger-ui.css", "/"):
            assert (await client.get(path)).status_code == 404


async def test_a_file_of_latents_may_be_larger_than_a_request(client_with: ClientFactory) -> None:
    """It has a limit of its own."""
    async with client_with(max_body_bytes=1024, max_import_bytes=4096) as client:
        for path, size, status in (
            ("/latents", 1025, 413),
            ("/latents/import", 4096, 400),
            ("/latents/import", 4097, 413),
        ):
            kind = {"content-type": "application/x-ndjson" if "import" in path else "application/json"}
            assert (await client.post(path, content=b"x" * size, headers=kind)).status_code == status, (path, size)
