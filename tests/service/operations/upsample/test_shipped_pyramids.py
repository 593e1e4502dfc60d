"""The shipped LAPGAN bundles on real pictures: sampled level by level, sharpened, faithful, re-rolled a level at a time."""

import base64
import io
from collections.abc import AsyncIterator
from itertools import pairwise

import httpx
import numpy as np
import pytest
from PIL import Image

from models.bundle import Bundle, read_bundle
from models.mathematics import pyramid
from models.mathematics.latents import cut, draw
from models.runtimes import open_runtime
from models.runtimes.base import Array, one_hot, to_pixels
from tests.conftest import ROOT, ClientFactory
from tests.photographs import face, thing
from tests.service.images.uploads.pictures import saved
from tests.service.operations.upsample.test_upsample import events, send, stack

EXPORTS = ROOT / "models" / "exports"
BUNDLES = ("cifar32-lapgan", "faces64-lapgan")
LEVELS = {name: read_bundle(EXPORTS / name).manifest.levels for name in BUNDLES}
COARSEST = {name: levels[0].output[0] for name, levels in LEVELS.items()}
NPY = {"accept": "application/x-npy"}
SSE = {"accept": "text/event-stream"}


@pytest.fixture
async def server(client_with: ClientFactory, name: str) -> AsyncIterator[httpx.AsyncClient]:
    """The application over the shipped pyramid a test is about."""
    async with client_with(bundles=(EXPORTS / name,), default_model=name) as client:
        yield client


def real_picture(name: str) -> Array:
    """A picture that the bundle never learnt from, float32 [1, 3, s, s] of the bundle's size."""
    return thing() if name.startswith("cifar") else face()


def upload(name: str, side: int) -> tuple[np.ndarray, bytes]:
    """The bundle's real picture reduced to `side`: pixels uint8 [s, s, 3] and the PNG a user would send."""
    pixels = to_pixels(pyramid.reduce(real_picture(name), side, side))[0]
    return pixels, saved(Image.fromarray(pixels), "PNG")


def chain(bundle: Bundle, seeds: range, labels: list[int]) -> list[Array]:
    """Every level's picture of the seeds by the bare runtime."""
    runtime, classes = open_runtime(bundle), len(bundle.manifest.labels or ())
    label = one_hot(labels, classes) if classes else None
    pictures: list[Array] = []
    for level, noise in enumerate(cut(bundle.manifest.latent, draw(bundle.manifest.latent, seeds))):
        pictures.append(runtime.run_level(level, pictures[-1] if pictures else None, noise, label))
    return pictures


@pytest.mark.parametrize("name", BUNDLES)
async def test_one_seed_is_one_picture_alone_and_in_company(server: httpx.AsyncClient, name: str) -> None:
    """POST /sample gives what the levels give by hand, and a seed alone the bytes it has among others."""
    labels = {"label": 8} if name.startswith("cifar") else {}
    answer = await server.post("/sample", json={"model": name, "seed": 40, "n": 7, **labels}, headers=NPY)
    together = stack(answer)
    alone = stack(await server.post("/sample", json={"model": name, "seed": 43, **labels}, headers=NPY))
    assert np.array_equal(alone[0], together[3])
    by_hand = chain(read_bundle(EXPORTS / name), range(40, 47), [8] * 7)[-1]
    assert np.array_equal(together, to_pixels(by_hand))


@pytest.mark.parametrize("name", BUNDLES)
def test_every_level_adds_detail_and_no_colour(name: str) -> None:
    """A level's picture has more contrast than its plain enlargement, and reduces to about what it was given."""
    pictures = chain(read_bundle(EXPORTS / name), range(24), [k % 10 for k in range(24)])
    for coarse, fine in pairwise(pictures):
        plain, side = pyramid.enlarge(coarse, *fine.shape[2:]), coarse.shape[2]
        assert energy(fine) > 1.05 * energy(plain)
        assert np.abs(pyramid.reduce(fine, side, side) - coarse).mean() < 0.08
        assert np.abs((fine - plain).mean((0, 2, 3))).max() < 0.03


def energy(images: Array) -> float:
    return float(np.square(np.diff(images, axis=-1)).mean() + np.square(np.diff(images, axis=-2)).mean())


@pytest.mark.parametrize("name", BUNDLES)
async def test_the_stream_rises_level_by_level(server: httpx.AsyncClient, name: str) -> None:
    """From the coarsest size: twice as large with every event; the last is the answer byte for byte."""
    start = COARSEST[name]
    _, data = upload(name, start)
    streamed = events(await send(server, data, SSE, model=name, start_size=start, seed=2))
    levels = [event for kind, event in streamed if kind == "level"]
    assert [event["size"][0] for event in levels] == [level.output[0] for level in LEVELS[name][1:]]
    whole = await send(server, data, model=name, start_size=start, seed=2)
    assert base64.b64decode(levels[-1]["b64_json"]) == whole.content


@pytest.mark.parametrize(("name", "start"), [(name, k * COARSEST[name]) for name in BUNDLES for k in (1, 2)])
async def test_a_faithful_picture_gives_every_level_back(server: httpx.AsyncClient, name: str, start: int) -> None:
    """Reduced by the bundle's own operator each level is the one before within 1/255, the first one the upload."""
    before, data = upload(name, start)
    streamed = events(await send(server, data, SSE, model=name, start_size=start, faithful=True, seed=5))
    for event in [event for kind, event in streamed if kind == "level"]:
        made = np.asarray(Image.open(io.BytesIO(base64.b64decode(event["b64_json"]))))
        down = pyramid.reduce(made.astype(np.float32).transpose(2, 0, 1), *before.shape[:2]).transpose(1, 2, 0)
        assert np.abs(down - before).max() <= 1.01
        before = made


@pytest.mark.parametrize("name", BUNDLES)
async def test_one_level_is_rolled_again_and_the_others_stay(server: httpx.AsyncClient, name: str) -> None:
    """With the second level's seed changed the first level's picture is the same and the last one is not."""
    start = COARSEST[name]
    _, data = upload(name, start)
    count = len(read_bundle(EXPORTS / name).manifest.levels) - 1
    shown = []
    for seeds in ([6] * count, [6, 70, *[6] * (count - 2)]):
        streamed = events(await send(server, data, SSE, model=name, start_size=start, level_seeds=seeds))
        shown.append([event["b64_json"] for kind, event in streamed if kind == "level"])
    pixels = [[np.asarray(Image.open(io.BytesIO(base64.b64decode(png)))) for png in levels] for levels in shown]
    assert np.array_equal(pixels[0][0], pixels[1][0])
    assert not np.array_equal(pixels[0][-1], pixels[1][-1])


@pytest.mark.parametrize("name", BUNDLES)
async def test_without_noise_every_seed_gives_the_mean_detail(server: httpx.AsyncClient, name: str) -> None:
    """noise=0 is one picture for all seeds; with noise, variants are the pictures of their own seeds."""
    _, data = upload(name, COARSEST[name])
    quiet = [stack(await send(server, data, NPY, model=name, noise=0, seed=seed)) for seed in (1, 2)]
    assert np.array_equal(quiet[0], quiet[1])
    three = stack(await send(server, data, NPY, model=name, variants=3, seed=7))
    last = stack(await send(server, data, NPY, model=name, seed=9))
    assert np.array_equal(three[2], last[0])
    assert not np.array_equal(three[0], three[2])
