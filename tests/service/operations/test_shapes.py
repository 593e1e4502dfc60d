"""Generators of any height, width and 1, 3 or 4 channels: every operation and representation takes them."""

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageSequence

from models.bundle import read_bundle
from models.mathematics.latents import draw
from models.runtimes import open_runtime
from models.runtimes.base import to_pixels
from tests.bundles import make_shaped
from tests.conftest import ClientFactory

SHAPES = {"grey-tall": (40, 24, 1), "wide": (20, 36, 3), "clear": (48, 30, 4), "large": (1024, 1024, 3)}
SMALL = ("grey-tall", "wide", "clear")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
NPY = {"accept": "application/x-npy"}
JSON = {"accept": "application/json", "prefer": "wait=120"}


@pytest.fixture(scope="module")
def shaped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle of each shape."""
    folder = tmp_path_factory.mktemp("shaped")
    for name, shape in SHAPES.items():
        make_shaped(folder, name, *shape)
    return folder


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all, so that what is proved of the large bundle at its first opening is remembered."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
async def client(client_with: ClientFactory, shaped: Path, data_dir: Path) -> Any:
    async with client_with(bundles=(shaped,), default_model="wide", data_dir=data_dir) as opened:
        yield opened


def truth(folder: Path, name: str, seed: int) -> np.ndarray:
    """The picture by the runtime alone."""
    bundle = read_bundle(folder / name)
    runtime = open_runtime(bundle, "onnx")
    return to_pixels(runtime.run_level(0, None, draw(bundle.manifest.latent, [seed]), None))[0]


def opened_image(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


async def array(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> np.ndarray:
    answer = await client.post(path, json=body, headers=NPY)
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


@pytest.mark.parametrize("name", SHAPES)
async def test_one_picture(client: httpx.AsyncClient, shaped: Path, name: str) -> None:
    """PNG and npy are the runtime's own pixels, with their alpha; the address of a picture enlarges by whole squares."""
    height, width, channels = SHAPES[name]
    expected = truth(shaped, name, 7)
    png = opened_image(await client.post("/sample", json={"model": name, "seed": 7}))
    assert (png.mode, png.size) == (MODES[channels], (width, height))
    np.testing.assert_array_equal(np.asarray(png).reshape(expected.shape), expected)
    np.testing.assert_array_equal((await array(client, "/sample", {"model": name, "seed": 7}))[0], expected)
    doubled = opened_image(await client.get(f"/images/{name}/7.png?scale=2"))
    assert doubled.size == (2 * width, 2 * height)
    np.testing.assert_array_equal(
        np.asarray(doubled).reshape(2 * height, 2 * width, channels), expected.repeat(2, 0).repeat(2, 1)
    )


async def test_alpha_is_kept_where_the_format_has_it(client: httpx.AsyncClient, shaped: Path) -> None:
    """WebP keeps alpha; JPEG and GIF, which have none, show the picture on white paper."""
    expected = truth(shaped, "clear", 3).astype(float)
    webp = opened_image(await client.get("/images/clear/3.webp"))
    assert webp.mode == "RGBA"
    np.testing.assert_allclose(np.asarray(webp)[:, :, 3], expected[:, :, 3], atol=2)
    alpha = expected[:, :, 3:] / 255
    flat = expected[:, :, :3] * alpha + 255 * (1 - alpha)
    jpeg = np.asarray(opened_image(await client.get("/images/clear/3.jpeg")), float)
    assert jpeg.shape == flat.shape
    assert np.abs(jpeg - flat).mean() < 4
    walk = {"model": "clear", "stops": [3, 4], "frames": 3}
    moving = opened_image(await client.post("/interpolate", json=walk, headers={"accept": "image/gif"}))
    assert np.abs(np.asarray(moving.convert("RGB"), float) - flat).mean() < 12  # 256 colours


@pytest.mark.parametrize("name", SMALL)
async def test_sheets_zips_and_envelopes(client: httpx.AsyncClient, name: str) -> None:
    """Three pictures as a sheet, as JPEG and WebP sheets, as a zip and as an envelope have the right sizes."""
    height, width, channels = SHAPES[name]
    body = {"model": name, "n": 3, "seed": 1}
    for media in ("image/png", "image/webp", "image/jpeg"):
        sheet = opened_image(await client.post("/sample", json=body, headers={"accept": media}))
        assert sheet.size == (2 * width + 2, 2 * height + 2)
        assert media == "image/jpeg" or (sheet.mode == "RGBA") == (channels == 4)
        assert min(np.asarray(sheet.convert("RGBA"))[-1, -1]) > 250  # the empty cell is white paper
    packed = await client.post("/sample", json=body, headers={"accept": "application/zip"})
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert [Image.open(archive.open(file)).size for file in archive.namelist()] == [(width, height)] * 3
    wish = {**body, "response_format": "b64_json", "output_format": "webp"}
    entry = (await client.post("/sample", json=wish, headers=JSON)).json()["data"][2]
    assert (entry["width"], entry["height"]) == (width, height)
    assert Image.open(io.BytesIO(base64.b64decode(entry["b64_json"]))).size == (width, height)


@pytest.mark.parametrize("name", SMALL)
async def test_latents_arithmetic_and_walks(client: httpx.AsyncClient, name: str) -> None:
    """Saved, added, shown as an equation, walked through, still and moving."""
    height, width, channels = SHAPES[name]
    saved = await client.post("/latents", json={"name": "kept", "model": name, "from": {"seed": 5}, "replace": True})
    assert saved.status_code in (200, 201), saved.text
    assert opened_image(await client.get("/latents/kept", headers={"accept": "image/png"})).size == (width, height)
    sum_body = {"model": name, "expression": "kept + seed(2) - seed(3)", "neighbourhood": {"n": 8}}
    assert (await array(client, "/arithmetic", sum_body)).shape == (9, height, width, channels)
    equation = opened_image(await client.post("/arithmetic", json={**sum_body, "layout": "equation"}))
    assert equation.width > 3 * width
    walk = {"model": name, "stops": ["kept", 2], "frames": 4}
    assert (await array(client, "/interpolate", walk)).shape == (4, height, width, channels)
    moving = opened_image(await client.post("/interpolate", json=walk, headers={"accept": "image/webp"}))
    assert (moving.size, len(ImageSequence.all_frames(moving))) == ((width, height), 4)


@pytest.mark.parametrize("name", SMALL)
async def test_it_finds_and_judges_its_own_pictures(client: httpx.AsyncClient, name: str) -> None:
    """Projection comes back near, alpha included; a discriminator sees alpha, too."""
    target = (await client.post("/sample", json={"model": name, "seed": 11})).content
    files = {"image": ("own.png", target, "image/png")}
    fields = {"model": name, "steps": "80", "restarts": "3"}
    found = await client.post("/project", files=files, data=fields, headers=JSON)
    assert found.status_code == 200, found.text
    assert found.json()["distance"]["psnr_db"] > 25
    if name != "clear":
        return
    judged = await client.post("/features", files=files, data={"model": name}, headers=JSON)
    assert len(judged.json()["features"]) == 8


@pytest.mark.parametrize("name", SMALL)
async def test_open_inference(client: httpx.AsyncClient, shaped: Path, name: str) -> None:
    """The protocol says the shape and gives tensors of it."""
    described = (await client.get(f"/v2/models/{name}")).json()
    assert described["outputs"][0]["shape"] == [-1, *SHAPES[name]]
    inputs = [{"name": "seed", "datatype": "UINT32", "shape": [2], "data": [7, 8]}]
    output = (await client.post(f"/v2/models/{name}/infer", json={"inputs": inputs})).json()["outputs"][0]
    assert output["shape"] == [2, *SHAPES[name]]
    pixels = np.asarray(output["data"], np.uint8).reshape(output["shape"])
    np.testing.assert_array_equal(pixels[0], truth(shaped, name, 7))


async def test_openai_images(client: httpx.AsyncClient) -> None:
    """The Images API gives the generator's own size."""
    body = {"model": "clear", "prompt": "seed:5", "n": 1, "response_format": "b64_json"}
    answer = await client.post("/v1/images/generations", json=body)
    assert answer.status_code == 200, answer.text
    data = base64.b64decode(answer.json()["data"][0]["b64_json"])
    assert Image.open(io.BytesIO(data)).size == (30, 48)


async def test_large_pictures_meet_the_limits_of_all(client: httpx.AsyncClient) -> None:
    """At 1024 x 1024 a sheet of four works; what would pass the limit of pixels is refused with both numbers."""
    sheet = opened_image(await client.post("/sample", json={"model": "large", "n": 4, "seed": 1}))
    assert sheet.size == (2050, 2050)
    refused = await client.post("/sample", json={"model": "large", "n": 96})
    assert refused.status_code == 413
    assert json.loads(refused.content)["detail"] == "100663296 pixels in one answer; the limit is 100000000"
