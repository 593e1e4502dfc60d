"""POST /upsample over HTTP, on real graphs with random weights."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from models.bundle import read_bundle
from models.mathematics import latents, pyramid
from models.runtimes import open_runtime
from models.runtimes.base import from_pixels, to_pixels
from service.operations import upsample as operation
from service.operations.tiles import tiles
from tests.conftest import ClientFactory
from tests.service.images.uploads.pictures import hollow_png, photo, saved
from tests.service.operations.upsample.conftest import noisy

X2: dict[str, Any] = {"model": "tiny-x2"}
FIXED: dict[str, Any] = {"model": "tiny-lapgan"}
NPY, SSE, JSON = ({"accept": media} for media in ("application/x-npy", "text/event-stream", "application/json"))


async def send(
    client: httpx.AsyncClient, data: bytes, headers: dict[str, str] | None = None, **fields: object
) -> httpx.Response:
    """The picture as multipart form data."""
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in fields.items()}
    return await client.post("/upsample", files={"image": ("p", data)}, data=texts, headers=headers)


def stack(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    return np.load(io.BytesIO(response.content))


def events(response: httpx.Response) -> list[tuple[str, dict[str, Any]]]:
    """Name and data of every server-sent event."""
    blocks = [block for block in response.text.split("\n\n") if block.startswith("id:")]
    rows = [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]
    return [(row["event"], json.loads(row["data"])) for row in rows]


async def test_a_photograph_comes_back_four_times_as_large(upsampler: httpx.AsyncClient, picture: bytes) -> None:
    """curl -F image=@photo: a PNG with four times the sides, its seed and model in the headers."""
    answer = await send(upsampler, picture, **X2, factor=4, seed=9)
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (192, 144)
    assert answer.headers["ganymede-seed"] == "9"
    assert answer.headers["ganymede-model"].startswith("tiny-x2@")


async def test_raw_body_and_form_give_the_same_bytes(upsampler: httpx.AsyncClient, picture: bytes) -> None:
    """curl --data-binary with query parameters is the same request, whatever content type curl invents."""
    form = await send(upsampler, picture, **X2, seed=3)
    for media in ("image/png", "application/octet-stream", "application/x-www-form-urlencoded"):
        raw = await upsampler.post("/upsample?model=tiny-x2&seed=3", content=picture, headers={"content-type": media})
        assert raw.content == form.content


async def test_tiled_is_untiled(
    upsampler: httpx.AsyncClient, double_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No seam: cut into tiles, a picture of odd sides comes back as from one piece, within 1/255."""
    pixels = noisy(61, 47)
    data = saved(Image.fromarray(pixels), "PNG")
    monkeypatch.setattr(operation, "tiles", lambda h, w, halo: tiles(h, w, halo, 16))
    tiled = stack(await send(upsampler, data, NPY, **X2, factor=4, seed=1))[0]
    bundle = read_bundle(double_folder / "tiny-x2")
    runtime, stream, image = open_runtime(bundle), latents.PlaneStream("standard_normal", 1), from_pixels(pixels[None])
    for _ in range(2):
        image = runtime.run_level(0, image, stream.plane(2 * image.shape[2], 2 * image.shape[3])[None], None)
    assert np.abs(tiled.astype(int) - to_pixels(image)[0]).max() <= 1


@pytest.mark.parametrize("fields", [{**X2, "factor": 4}, FIXED])
async def test_faithful_gives_the_input_back(upsampler: httpx.AsyncClient, fields: dict[str, Any]) -> None:
    """Scaled back down by the bundle's own operator, the result is the input within 1/255, however wild the detail."""
    pixels = noisy(16, 16)
    data = saved(Image.fromarray(pixels), "PNG")
    made = stack(await send(upsampler, data, NPY, **fields, faithful=True, noise=2.0, seed=4))[0]
    down = pyramid.reduce(made.astype(np.float32).transpose(2, 0, 1), 16, 16).transpose(1, 2, 0)
    assert np.abs(down - pixels).max() <= 1
    plain = stack(await send(upsampler, data, NPY, **fields, noise=2.0, seed=4))[0]
    assert (
        np.abs(pyramid.reduce(plain.astype(np.float32).transpose(2, 0, 1), 16, 16).transpose(1, 2, 0) - pixels).max()
        > 2
    )


@pytest.mark.parametrize("fields", [{**X2, "factor": 8}, FIXED])
async def test_the_stream_shows_each_level_and_ends_with_the_answer(
    upsampler: httpx.AsyncClient, picture: bytes, fields: dict[str, Any]
) -> None:
    """One event a level, sizes rising; the last one is the non-streamed answer byte for byte."""
    whole = await send(upsampler, picture, **fields, seed=11)
    streamed = events(await send(upsampler, picture, SSE, **fields, seed=11))
    levels = [data for name, data in streamed if name == "level"]
    assert [data["level"] for data in levels] == list(range(3 if fields["model"] == "tiny-x2" else 1))
    sides = [data["size"][0] for data in levels]
    assert sides == sorted(set(sides))
    assert all(data["seed"] == 11 for data in levels)
    assert base64.b64decode(levels[-1]["b64_json"]) == whole.content
    assert streamed[-1][0] == "result"
    entered = [data["size"] for name, data in streamed if name == "entry"]
    assert entered == ([[16, 16]] if fields == FIXED else []), "a fixed bundle shows what it made of the picture first"


async def test_noise_zero_is_one_picture_for_all_seeds(upsampler: httpx.AsyncClient, picture: bytes) -> None:
    """Without noise the seed does not matter; with it, each variant is the picture of its own seed."""
    for fields in (X2, FIXED):
        quiet = [stack(await send(upsampler, picture, NPY, **fields, noise=0, seed=s)) for s in (1, 2)]
        assert np.array_equal(quiet[0], quiet[1])
        three = stack(await send(upsampler, picture, NPY, **fields, variants=3, seed=7))
        alone = [stack(await send(upsampler, picture, NPY, **fields, seed=s))[0] for s in (7, 8, 9)]
        assert all(np.array_equal(a, b) for a, b in zip(three, alone, strict=True))
        assert not np.array_equal(three[0], three[1])


async def test_one_level_alone_can_be_rolled_again(upsampler: httpx.AsyncClient, picture: bytes) -> None:
    """Equal seeds per level are the seed itself; changing the second keeps what the first level made."""
    seeded = stack(await send(upsampler, picture, NPY, **X2, factor=4, seed=6))
    spelt = stack(await send(upsampler, picture, NPY, **X2, factor=4, level_seeds=[6, 6]))
    assert np.array_equal(seeded, spelt)
    first = [
        next(d for n, d in events(await send(upsampler, picture, SSE, **X2, factor=4, level_seeds=s)) if n == "level")
        for s in ([6, 6], [6, 70])
    ]
    assert first[0]["b64_json"] != ""
    shown = [np.asarray(Image.open(io.BytesIO(base64.b64decode(event["b64_json"])))) for event in first]
    assert np.array_equal(shown[0], shown[1])
    other = stack(await send(upsampler, picture, NPY, **X2, factor=4, level_seeds=[6, 70]))
    assert not np.array_equal(seeded, other)


async def test_a_fixed_bundle_uses_the_seed_as_sampling_does(upsampler: httpx.AsyncClient, bundle_folder: Path) -> None:
    """Sampled, cut off after the coarse level and sharpened again with the same seed: the sampled picture."""
    bundle = read_bundle(bundle_folder / "tiny-lapgan")
    prior = bundle.manifest.latent
    coarse = open_runtime(bundle).run_level(0, None, latents.cut(prior, latents.draw(prior, [5]))[0], None)
    sampled = await upsampler.post("/sample", json={"model": "tiny-lapgan", "seed": 5}, headers=NPY)
    data = saved(Image.fromarray(to_pixels(coarse)[0]), "PNG")
    again = stack(await send(upsampler, data, NPY, **FIXED, seed=5))
    assert np.abs(again.astype(int) - stack(sampled)).max() <= 3  # the coarse picture was rounded to 8 bits between


async def test_alpha_is_kept_and_plainly_resized(upsampler: httpx.AsyncClient) -> None:
    """A cut-out stays a cut-out."""
    layered = photo().convert("RGBA")
    mask = Image.linear_gradient("L").resize(layered.size)
    layered.putalpha(mask)
    made = stack(await send(upsampler, saved(layered, "PNG"), NPY, **X2))[0]
    assert made.shape == (72, 96, 4)
    assert np.array_equal(made[:, :, 3], np.asarray(mask.resize((96, 72), Image.Resampling.BILINEAR)))


async def test_any_shape_is_taken(upsampler: httpx.AsyncClient) -> None:
    """One pixel, one line, odd sides."""
    for width, height in ((1, 1), (1, 9), (150, 3), (7, 131)):
        data = saved(Image.fromarray(noisy(width, height)), "PNG")
        assert stack(await send(upsampler, data, NPY, **X2))[0].shape == (2 * height, 2 * width, 3)
        assert stack(await send(upsampler, data, NPY, **FIXED))[0].shape == (32, 32, 3)


async def test_recipe_names_the_upload_but_copies_nothing_of_it(upsampler: httpx.AsyncClient) -> None:
    """The PNG says how it was made; what the camera wrote into the upload stays out."""
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    answer = await send(upsampler, saved(photo(), "PNG", exif=exif), **X2, seed=2)
    recipe = json.loads(Image.open(io.BytesIO(answer.content)).info["ganymede"])
    assert recipe["op"] == "upsample"
    assert recipe["factor"] == 2
    assert b"SecretCamera" not in answer.content


REFUSED = [
    ({"model": "tiny"}, 422),
    ({"model": "none-such"}, 404),
    ({**X2, "factor": 3}, 422),
    ({**X2, "factor": 16}, 422),
    ({**X2, "levels": 9}, 422),
    ({**X2, "factor": 2, "levels": 1}, 422),
    ({**X2, "start_size": 16}, 422),
    ({**X2, "variants": 0}, 422),
    ({**X2, "noise": -1}, 422),
    ({**X2, "seed": -1}, 422),
    ({**X2, "level_seeds": [1, 2]}, 422),
    ({**X2, "label": "red"}, 422),
    ({**X2, "factr": 2}, 422),
    ({**FIXED, "start_size": 8}, 422),
    ({**FIXED, "factor": 4}, 422),
]


@pytest.mark.parametrize(("fields", "status"), REFUSED)
async def test_wrong_fields_get_a_clear_problem(
    upsampler: httpx.AsyncClient, picture: bytes, fields: dict[str, Any], status: int
) -> None:
    """The problem names the field."""
    answer = await send(upsampler, picture, **fields)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (hollow_png(20_000, 20_000), 413),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (b"<!doctype html>", 415),
        (b"", 422),
        (saved(photo(), "PNG")[:90], 422),
    ],
)
async def test_hostile_uploads_are_refused(upsampler: httpx.AsyncClient, data: bytes, status: int) -> None:
    """Bombs, impostors and broken files: a problem, whether streamed or not."""
    for headers in (None, {"accept": "text/event-stream"}):
        answer = await upsampler.post("/upsample?model=tiny-x2", content=data, headers=headers)
        assert answer.status_code == status or (headers and "event: error" in answer.text)


async def test_a_form_says_it_in_its_own_way(upsampler: httpx.AsyncClient, picture: bytes) -> None:
    """Generated clients write False for false and send their defaults in the address too; the form decides."""
    fields = {"model": "tiny-x2", "seed": "3", "faithful": "False"}
    form = await upsampler.post("/upsample?seed=4&noise=1.0&model=no", data=fields, files={"image": ("p", picture)})
    plain = await upsampler.post("/upsample?model=tiny-x2&seed=3", content=picture)
    assert (form.status_code, form.content) == (200, plain.content)


async def test_a_form_without_a_picture_and_json_are_refused(upsampler: httpx.AsyncClient, picture: bytes) -> None:
    """The problem says how to send the picture."""
    wrong = await upsampler.post("/upsample", files={"photo": ("p", picture)})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/image")
    assert (await upsampler.post("/upsample", json={"image": "x"})).status_code == 415
    broken = await upsampler.post(
        "/upsample", content=b"x", headers={"content-type": "multipart/form-data; boundary=a"}
    )
    assert broken.status_code in {400, 422}


async def test_too_large_a_result_is_refused_with_what_fits(client_with: ClientFactory, double_folder: Path) -> None:
    """The refusal says which factor would do."""
    async with client_with(bundles=(double_folder,), default_model=None, max_result_pixels=10_000) as client:
        answer = await send(client, saved(photo(), "PNG"), factor=4)
        assert answer.status_code == 413
        assert "factor 2 fits" in answer.json()["detail"]


async def test_a_server_without_upsamplers_says_so(client_with: ClientFactory, bundle_folder: Path) -> None:
    """404 with a sentence, not a wrong model's picture."""
    async with client_with(bundles=(bundle_folder / "tiny",)) as client:
        assert (await send(client, saved(photo(), "PNG"))).status_code == 404
