"""The shipped upsampler on real pictures: faithful, seamless, sharper than bicubic, true to colour."""

import base64
import io
from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest
from PIL import Image

from models.bundle import read_bundle
from models.mathematics import latents, pyramid
from models.runtimes import open_runtime
from models.runtimes.base import from_pixels, to_pixels
from service.operations.tiles import tiles
from tests.conftest import ROOT, ClientFactory
from tests.photographs import photographs
from tests.service.images.uploads.pictures import saved
from tests.service.operations.upsample.test_upsample import events, send, stack

EXPORTS = ROOT / "models" / "exports"
NPY = {"accept": "application/x-npy"}
SSE = {"accept": "text/event-stream"}


@pytest.fixture
async def server(client_with: ClientFactory) -> AsyncIterator[httpx.AsyncClient]:
    """The application over the shipped doubler."""
    async with client_with(bundles=(EXPORTS / "photo-x2",), default_model=None) as client:
        yield client


def gradient_energy(images: np.ndarray) -> float:
    return float(np.square(np.diff(images, axis=-1)).mean() + np.square(np.diff(images, axis=-2)).mean())


async def test_the_shipped_doubler_can_be_faithful(server: httpx.AsyncClient) -> None:
    """Reduced by the bundle's own operator, every level's picture is the one before within 1/255."""
    small = to_pixels(pyramid.reduce(photographs(128)[:1], 16, 16))[0]
    data = saved(Image.fromarray(small), "PNG")
    streamed = await send(server, data, SSE, faithful=True, seed=5, factor=4)
    before = small.astype(np.float32)
    for _, event in [event for event in events(streamed) if event[0] == "level"]:
        made = np.asarray(Image.open(io.BytesIO(base64.b64decode(event["b64_json"]))), np.float32)
        down = pyramid.reduce(made.transpose(2, 0, 1), *before.shape[:2]).transpose(1, 2, 0)
        assert np.abs(down - before).max() <= 1.01
        before = made


def test_the_shipped_doubler_shows_no_seam() -> None:
    """A photograph done in tiles is the photograph done whole, within 1/255."""
    bundle = read_bundle(EXPORTS / "photo-x2")
    runtime, image = open_runtime(bundle), photographs(150)[:1]
    noise = latents.PlaneStream("standard_normal", 3).plane(300, 300)[None]
    whole = to_pixels(runtime.run_level(0, image, noise, None))[0]
    for tile in tiles(150, 150, bundle.manifest.levels[0].halo, 64):
        window = np.ascontiguousarray(image[(..., *tile.window())])
        made = runtime.run_level(0, window, np.ascontiguousarray(noise[(..., *tile.window(2))]), None)
        part = to_pixels(made)[0][tile.core_in_window(2)]
        assert np.abs(part.astype(int) - whole[tile.core(2)]).max() <= 1


def test_the_shipped_doubler_is_sharper_than_bicubic_and_true_to_colour() -> None:
    """On photographs it never saw: more fine contrast than bicubic, and the same mean colours."""
    truth = photographs(128)
    small = from_pixels(to_pixels(pyramid.reduce(truth, 64, 64)))
    stream = latents.PlaneStream("standard_normal", 0)
    noise = np.stack([stream.plane(128, 128) for _ in range(len(small))])
    made = np.clip(open_runtime(read_bundle(EXPORTS / "photo-x2")).run_level(0, small, noise, None), -1, 1)
    smooth = np.stack(
        [np.asarray(Image.fromarray(p).resize((128, 128), Image.Resampling.BICUBIC)) for p in to_pixels(small)]
    )
    assert gradient_energy(made) > 1.1 * gradient_energy(from_pixels(smooth))
    assert np.abs(made.mean((2, 3)) - small.mean((2, 3))).max() < 0.04
    assert np.abs(pyramid.reduce(made, 64, 64) - small).mean() < 0.03


async def test_the_shipped_doubler_streams_each_level_in_turn(server: httpx.AsyncClient) -> None:
    """Twice, four times, eight times: three events, the last one the answer itself, byte for byte."""
    data = saved(Image.fromarray(to_pixels(photographs(24)[:1])[0]), "PNG")
    streamed = events(await send(server, data, SSE, factor=8, seed=1))
    levels = [event for name, event in streamed if name == "level"]
    assert [event["size"] for event in levels] == [[48, 48], [96, 96], [192, 192]]
    whole = await send(server, data, factor=8, seed=1)
    assert base64.b64decode(levels[-1]["b64_json"]) == whole.content


async def test_a_photograph_is_sharpened_by_default_with_the_doubler(server: httpx.AsyncClient) -> None:
    """No model named: any-size, four times the sides when asked."""
    data = saved(Image.fromarray(to_pixels(photographs(40)[:1])[0]), "JPEG")
    answer = await send(server, data, NPY, factor=4)
    assert answer.headers["ganymede-model"].startswith("photo-x2@")
    assert stack(answer).shape == (1, 160, 160, 3)
