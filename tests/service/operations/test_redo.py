"""Every picture is a save file: each operation in each format, made again from the file alone."""

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageSequence

from ganymede_client.results import pictures_of
from save_files import SOURCE_TYPE, read_recipe, read_recipes
from tests.conftest import ClientFactory
from tests.service.images.uploads.pictures import photo, saved
from tests.service.operations.upsample.conftest import make_tiny_double

FORMATS = ["image/png", "image/webp", "image/jpeg", "application/zip", "application/x-npz"]
PHOTO = saved(photo(), "PNG")
OPERATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "sample": ("/sample", {"model": "tiny-labels", "seed": 4, "n": 5, "truncation": 0.8, "scale": 2}),
    "one": ("/sample", {"model": "tiny-lapgan", "seed": 9, "label": None}),
    "latents": ("/sample", {"model": "tiny", "latents": ["kept"]}),
    "arithmetic": ("/arithmetic", {"expression": "kept + seed(2) - seed(3)", "model": "tiny", "truncation": 0.9}),
    "neighbourhood": ("/arithmetic", {"expression": "kept", "neighbourhood": {"n": 4}}),
    "equation": ("/arithmetic", {"expression": "mean(kept, other) - 2 * seed(1)", "layout": "equation", "scale": 2}),
    "interpolate": ("/interpolate", {"model": "tiny-labels", "stops": [1, 2, 3], "frames": 7, "loop": True, "fps": 9}),
    "upsample": ("/upsample", {"model": "tiny-x2", "factor": 4, "seed": 5, "variants": 2, "noise": 0.5}),
    "pyramid": ("/upsample", {"model": "tiny-lapgan", "level_seeds": [3], "faithful": True}),
    "project": ("/project", {"model": "tiny", "steps": 20, "restarts": 1, "seed": 1}),
}


@pytest.fixture(scope="module")
def doubles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doubles")
    make_tiny_double(folder)
    return folder


@pytest.fixture
async def server(client_with: ClientFactory, bundle_folder: Path, doubles: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A server with two latents on its shelf."""
    async with client_with(bundles=(bundle_folder, doubles)) as client:
        for name, seed in (("kept", 7), ("other", 8)):
            await client.post("/latents", json={"name": name, "model": "tiny", "from": {"seed": seed}})
        yield client


async def make(client: httpx.AsyncClient, name: str, media: str, **more: Any) -> bytes:
    path, fields = OPERATIONS[name]
    headers = {"accept": media, "prefer": "wait=60"}
    if path in ("/upsample", "/project"):
        query = {k: json.dumps(v) if isinstance(v, list) else v for k, v in {**fields, **more}.items()}
        answer = await client.post(path, params=query, content=PHOTO, headers={**headers, "content-type": "image/png"})
    else:
        answer = await client.post(path, json={**fields, **more}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.content


async def again(client: httpx.AsyncClient, name: str, media: str, **body: Any) -> bytes:
    source = {"source": base64.b64encode(PHOTO).decode()} if OPERATIONS[name][0] == "/upsample" else {}
    answer = await client.post("/redo", json={**source, **body}, headers={"accept": media, "prefer": "wait=60"})
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize("name", OPERATIONS)
async def test_every_format_of_every_operation_is_a_save_file(
    server: httpx.AsyncClient, client_with: ClientFactory, bundle_folder: Path, doubles: Path, tmp_path: Path, name: str
) -> None:
    """The file alone makes the very same file again, on a server that has nothing saved."""
    formats = [*FORMATS, "image/gif"] if name == "interpolate" else FORMATS
    files = {media: await make(server, name, media) for media in formats}
    async with client_with(bundles=(bundle_folder, doubles), data_dir=tmp_path / "another") as another:
        for media, data in files.items():
            if media == "application/zip":
                for member, recipe in read_recipes(data):
                    pixels = await again(another, name, "image/png", recipe=recipe)
                    original = zipfile.ZipFile(io.BytesIO(data)).read(member)
                    assert pixels == original, (media, member)
            elif media == "application/x-npz":
                assert await again(another, name, media, recipe=read_recipe(data)) == data
            else:
                assert await again(another, name, media, image=base64.b64encode(data).decode()) == data, media


@pytest.mark.parametrize("name", OPERATIONS)
async def test_without_metadata_there_is_none(server: httpx.AsyncClient, name: str) -> None:
    """`metadata: false` is the same as `none`, in every format; `minimal` keeps the mark and leaves the recipe out."""
    formats = [*FORMATS, "image/gif"] if name == "interpolate" else FORMATS
    for media in formats:
        bare = await make(server, name, media, metadata=False)
        assert [recipe for _, recipe in read_recipes(bare)] == [None] * len(read_recipes(bare))
        assert b"ganymede" not in bare.lower()
        assert b"trainedAlgorithmicMedia" not in bare
        assert bare == await make(server, name, media, metadata="none")
        little = await make(server, name, media, metadata="minimal")
        assert {recipe for _, recipe in read_recipes(little)} == {None}
        assert b"trainedAlgorithmicMedia" in little or media == "application/x-npz"


async def test_the_mark_is_in_every_picture(server: httpx.AsyncClient) -> None:
    """Whole or on the way, in PNG, WebP, JPEG, GIF and events: the picture says that a machine made it, unless asked not to."""
    for name in ("one", "interpolate"):
        for media in ("image/png", "image/webp", "image/jpeg", *(["image/gif"] if name == "interpolate" else [])):
            data = await make(server, name, media)
            assert data.count(SOURCE_TYPE.encode()) == 1, media
            with Image.open(io.BytesIO(data)) as picture:
                assert ImageSequence.all_frames(picture)
    for path, body in (
        ("/sample", {"model": "tiny-lapgan", "seed": 1}),
        ("/interpolate", {"model": "tiny", "stops": [1, 2], "frames": 2}),
    ):
        for metadata, marked in (("full", True), ("minimal", True), ("none", False)):
            answer = await server.post(
                path, json={**body, "metadata": metadata}, headers={"accept": "text/event-stream"}
            )
            rows = [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: ")]
            pictures = [base64.b64decode(row["b64_json"]) for row in rows if "b64_json" in row]
            assert pictures
            assert {SOURCE_TYPE.encode() in picture for picture in pictures} == {marked}, (path, metadata)


async def test_a_sheet_of_the_client_is_the_servers(server: httpx.AsyncClient) -> None:
    """Made of the pictures of an envelope: the same pixels, and a recipe that makes them again."""
    body = {**OPERATIONS["sample"][1], "response_format": "b64_json"}
    pictures = pictures_of((await server.post("/sample", json=body, headers={"accept": "application/json"})).json())
    made = await again(server, "sample", "image/png", recipe=read_recipe(pictures.sheet.data))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(made))), pictures.sheet.array)
    for suffix in (".webp", ".jpg"):
        assert read_recipe(pictures.sheet.encoded(suffix)) == pictures.sheet.recipe
    bare = {**body, "metadata": False}
    pictures = pictures_of((await server.post("/sample", json=bare, headers={"accept": "application/json"})).json())
    assert read_recipe(pictures.sheet.encoded(".webp")) is None


async def test_every_way_out_gives_save_files(server: httpx.AsyncClient) -> None:
    """Pure addresses, saved latents, OpenAI's images, job results, frames and levels of streams: all carry the recipe."""
    found: dict[str, bytes] = {}
    for kind in ("png", "webp", "jpeg"):
        found[kind] = (await server.get(f"/images/tiny/3.{kind}")).content
        assert read_recipe((await server.get(f"/images/tiny/3.{kind}?metadata=false")).content) is None
    found["latent"] = (await server.get("/latents/kept", headers={"accept": "image/webp"})).content
    wish = {"model": "tiny", "prompt": "seed:3", "response_format": "b64_json"}
    answer = await server.post("/v1/images/generations", json=wish)
    found["openai"] = base64.b64decode(answer.json()["data"][0]["b64_json"])
    later = {"prefer": "respond-async, wait=30"}
    job = await server.post("/sample", json={"seed": 3}, headers={**later, "accept": "image/jpeg"})
    found["job"] = job.content
    for path, body in (
        ("/interpolate", {"stops": [1, 2], "frames": 2}),
        ("/interpolate", {"stops": [1, 2], "frames": 3}),
    ):
        events = await server.post(path, json={"model": "tiny", **body}, headers={"accept": "text/event-stream"})
        rows = [line for line in events.text.split("\n") if line.startswith("data: ") and "b64_json" in line]
        found[f"event {body['frames']}"] = base64.b64decode(json.loads(rows[0][6:])["b64_json"])
    for name, data in found.items():
        assert (read_recipe(data) or {}).get("model", "").startswith("tiny@"), name


async def test_what_is_missing_is_named(server: httpx.AsyncClient, client_with: ClientFactory, tmp_path: Path) -> None:
    """The bundle's digest where the server has another, the source's digest for sharpened pictures."""
    recipe = read_recipe(await make(server, "upsample", "image/webp"))
    assert recipe is not None
    digest = hashlib.sha256(PHOTO).hexdigest()[:16]
    absent = await server.post("/redo", json={"recipe": recipe})
    assert (absent.status_code, digest in absent.json()["detail"]) == (422, True)
    wrong = await server.post(
        "/redo", json={"recipe": recipe, "source": base64.b64encode(saved(photo(9, 9), "PNG")).decode()}
    )
    assert (wrong.status_code, digest in wrong.json()["detail"]) == (422, True)
    recipe["model"] = "tiny-x2@0123456789abcdef"
    elsewhere = await server.post("/redo", json={"recipe": recipe})
    assert (elsewhere.status_code, recipe["model"] in elsewhere.json()["detail"]) == (404, True)


async def test_lies_are_refused(server: httpx.AsyncClient) -> None:
    """A recipe from a stranger is checked field by field, and its files hold only what was checked."""
    model = (read_recipe(await make(server, "latents", "image/png")) or {})["model"]
    walk = {"model": model, "stops": ["AAAA", "AAAA"], "frames": 3}
    cases: list[dict[str, Any]] = [
        {}, {"model": model}, {"model": 3}, {"model": model, "seed": "x"}, {"model": model, "latent": "AAAA"},
        {"model": model, "seed": 1, "truncation": 9}, {"model": model, "seed": 1, "scale": 17},
        {"model": model, "seed": 1, "scale": 2.5},
        {"model": model, "items": [{"seed": 1}, {"seed": 2, "scale": 2}]}, walk, {**walk, "stops": 3},
        {"model": model, "op": "upsample", "input": "00"}, {"model": model, "layout": "equation", "expression": "a+"},
        {"model": model, "layout": "equation", "expression": "a", "latent": base64.b64encode(bytes(32)).decode()},
        {"model": model, "items": [{"seed": k} for k in range(5000)]}, {"model": model, "seed": 1, "label": "red"},
    ]  # fmt: skip
    for recipe in cases:
        answer = await server.post("/redo", json={"recipe": recipe})
        assert answer.status_code == 422, (recipe, answer.text)
    honest = {"model": model, "seed": 1, "secret": "x" * 50, "name": "../etc"}
    made = read_recipe((await server.post("/redo", json={"recipe": honest}, headers={"accept": "image/png"})).content)
    assert made == {"model": model, "op": "sample", "seed": 1, "version": 1}
    assert (await server.post("/redo", json={"image": "AAAA"})).status_code == 415


async def test_a_large_sheet_is_a_job_in_parts(client_with: ClientFactory) -> None:
    """More pictures than are answered at once come as a job whose parts several workers may take."""
    async with client_with(async_pictures=3, job_chunk_pictures=2) as client:
        sheet = await client.post(
            "/sample", json={"seed": 3, "n": 7}, headers={"accept": "image/png", "prefer": "wait=30"}
        )
        body = {"image": base64.b64encode(sheet.content).decode()}
        made = await client.post(
            "/redo", json=body, headers={"accept": "image/png", "prefer": "respond-async, wait=30"}
        )
        assert made.status_code == 200, made.text
        assert made.content == sheet.content
