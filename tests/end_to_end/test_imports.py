"""Every kind of import behind every endpoint, on one server: what works for a bundle of our own works for these."""

import base64
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from models.imports.build import import_file
from models.imports.options import Options
from models.imports.report import Report
from service.http.app import build_app
from service.settings import Settings
from tests.models.imports.generators import CLASSES, NZ, StyleGenerator, example, mlp, upsampling
from tests.models.imports.test_modules import Stepped
from tests.models.imports.test_onnx import Flat, export
from tests.models.imports.test_upsampler import Sharpener

GENERATORS = ("onnx", "checkpoint", "safetensors", "torchscript", "kept", "conditional", "alpha", "style")
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of each kind, imported once."""
    files, bundles = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("bundles")
    export(Flat(), files / "onnx.onnx", torch.randn(64, NZ))
    torch.save(example().state_dict(), files / "checkpoint.pth")
    save_file(upsampling().state_dict(), files / "safetensors.safetensors")
    torch.jit.trace(example(), torch.randn(2, NZ, 1, 1)).save(str(files / "torchscript.pt"))
    torch.jit.script(Stepped()).save(str(files / "kept.pt"))
    torch.save(mlp(CLASSES).state_dict(), files / "conditional.pth")
    torch.save(example(channels=4).state_dict(), files / "alpha.pth")
    style = (torch.randn(1, NZ), torch.tensor(1.0))
    export(StyleGenerator(), files / "style.onnx", *style, input_names=["z", "truncation_psi"])
    torch.onnx.export(Sharpener(2).eval(), (torch.rand(1, 3, 16, 16),), str(files / "sharpener.onnx"), dynamo=False)
    for file in files.iterdir():
        kind = "upsample" if file.stem == "sharpener" else "generate"
        import_file(file, bundles, Options(kind=kind), Report())
    return bundles


@pytest.fixture
async def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    app = build_app(Settings(bundles=(folder,), data_dir=tmp_path_factory.mktemp("data"), threads=1))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=120) as client:
            yield client


async def test_one_server_with_every_kind(server: httpx.AsyncClient) -> None:
    """The whole table in one test, so that the server is started once: each kind through each endpoint."""
    listed = (await server.get("/models")).json()
    assert listed.get("refused", []) == []
    assert {model["name"] for model in listed["data"]} == {*GENERATORS, "sharpener"}
    for name in GENERATORS:
        await _samples(server, name)
        await _latents(server, name)
        await _directions(server, name)
        await _protocols(server, name)
        await _projects(server, name)
    await _keeps_alpha(server)
    await _upsamples(server)


async def _post(
    server: httpx.AsyncClient, path: str, body: dict[str, Any], accept: str = "image/png"
) -> httpx.Response:
    answer = await server.post(path, json=body, headers={"accept": accept})
    assert answer.status_code in (200, 201), (path, body, answer.text[:500])
    return answer


def _picture(answer: httpx.Response) -> Image.Image:
    return Image.open(io.BytesIO(answer.content))


async def _samples(server: httpx.AsyncClient, name: str) -> None:
    alone = _picture(await _post(server, "/sample", {"model": name, "seed": 3}))
    sheet = _picture(await _post(server, "/sample", {"model": name, "n": 16, "seed": 0}))
    assert sheet.width >= 4 * alone.width
    many = await _post(server, "/sample", {"model": name, "n": 20, "seed": 0}, "application/x-npy")
    rows = np.load(io.BytesIO(many.content))
    assert np.array_equal(rows[3].squeeze(), np.asarray(alone).squeeze()), "alone and in company"
    walk = {"model": name, "stops": [1, 2], "frames": 4}
    frames = await _post(server, "/interpolate", walk, "application/x-npy")
    assert len(np.load(io.BytesIO(frames.content))) == 4
    got = await server.get(f"/images/{name}/3.png")
    assert got.status_code == 200
    assert np.array_equal(np.asarray(_picture(got)), np.asarray(alone))


async def _latents(server: httpx.AsyncClient, name: str) -> None:
    for seed in range(2):
        await _post(server, "/latents", {"name": f"{name}_{seed}", "model": name, "from": {"seed": seed}}, "*/*")
    body = {"model": name, "expression": f"{name}_0 - {name}_1 + seed(5)"}
    assert _picture(await _post(server, "/arithmetic", body)).width > 1


async def _directions(server: httpx.AsyncClient, name: str) -> None:
    """A direction from latents that somebody labelled, and one learned from what varies most; a step along each is seen."""
    difference = {"difference": {"positive": [f"{name}_0"], "negative": [f"{name}_1"]}}
    still = (await _post(server, "/arithmetic", {"model": name, "expression": "seed(3)"})).content
    for way, source in (("told", difference), ("learned", {"pca": {"samples": 100}})):
        await _post(server, "/directions", {"name": f"{name}_{way}", "model": name, "from": source}, "*/*")
        body = {"model": name, "expression": f"seed(3) + 2 * dir({name}_{way})"}
        moved = await _post(server, "/arithmetic", body)
        assert not np.array_equal(np.asarray(_picture(moved)), np.asarray(Image.open(io.BytesIO(still)))), way


async def _keeps_alpha(server: httpx.AsyncClient) -> None:
    """Alpha of a generator with four channels is in its pictures, its sheets and its arrays."""
    one = _picture(await _post(server, "/sample", {"model": "alpha", "seed": 3}))
    sheet = _picture(await _post(server, "/sample", {"model": "alpha", "n": 16, "seed": 3}))
    rows = np.load(
        io.BytesIO((await _post(server, "/sample", {"model": "alpha", "seed": 3}, "application/x-npy")).content)
    )
    assert (one.mode, sheet.mode, rows.shape[-1]) == ("RGBA", "RGBA", 4)
    assert np.array_equal(np.asarray(one), rows.reshape(np.asarray(one).shape))
    assert np.asarray(one)[..., 3].std() > 0


async def _protocols(server: httpx.AsyncClient, name: str) -> None:
    inputs = [{"name": "seed", "shape": [2], "datatype": "UINT32", "data": [3, 4]}]
    answer = await server.post(f"/v2/models/{name}/infer", json={"inputs": inputs})
    assert answer.status_code == 200, answer.text[:500]
    answer = await server.post(
        "/v1/images/generations", json={"model": name, "prompt": "seed(2)", "response_format": "b64_json"}
    )
    assert answer.status_code == 200, answer.text[:500]
    png = base64.b64decode(answer.json()["data"][0]["b64_json"])
    assert Image.open(io.BytesIO(png)).width > 1


async def _projects(server: httpx.AsyncClient, name: str) -> None:
    """A picture of the generator's own is found again by gradient through its graph."""
    png = (await _post(server, "/sample", {"model": name, "seed": 9})).content
    form = {"model": name, "steps": "30", "restarts": "2", "response_format": "b64_json"}
    files = {"image": ("own.png", png, "image/png")}
    answer = await server.post("/project", files=files, data=form, headers={"accept": "application/json"})
    assert answer.status_code == 200, answer.text[:500]
    assert answer.json()["distance"]["psnr_db"] > 22


async def _upsamples(server: httpx.AsyncClient) -> None:
    """Tiles, alpha and any size, on an imported network."""
    picture = Image.fromarray(np.random.RandomState(0).randint(0, 255, (20, 30, 4), np.uint8), "RGBA")
    data = io.BytesIO()
    picture.save(data, "PNG")
    files = {"image": ("p.png", data.getvalue(), "image/png")}
    answer = await server.post(
        "/upsample", files=files, data={"model": "sharpener", "factor": "2"}, headers={"accept": "image/png"}
    )
    assert answer.status_code == 200, answer.text[:500]
    assert _picture(answer).size == (60, 40)
    assert _picture(answer).mode == "RGBA"
