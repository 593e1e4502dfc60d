"""/latents over HTTP: vectors with names, kept bit for bit, with where they came from."""

import base64
import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from models.bundle import Bundle
from models.mathematics.latents import draw, normalise
from tests.conftest import ClientFactory

NPY = {"accept": "application/x-npy"}
PNG = {"accept": "image/png"}


async def save(client: httpx.AsyncClient, name: str, source: dict[str, Any], **fields: object) -> dict[str, Any]:
    answer = await client.post("/latents", json={"name": name, "model": "tiny", "from": source, **fields})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/latents/{name}"
    return answer.json()


async def vector(client: httpx.AsyncClient, name: str) -> np.ndarray:
    return np.load(io.BytesIO((await client.get(f"/latents/{name}", headers=NPY)).content))


def pixels(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(io.BytesIO(response.content)))


async def test_a_seed_is_kept_and_shown(client: httpx.AsyncClient, tiny: Bundle) -> None:
    """A saved seed has the numbers of that seed, and its picture is the one POST /sample makes."""
    saved = await save(client, "one", {"seed": 7}, tags=["b", "a"])
    assert (saved["seed"], saved["tags"], saved["origin"]) == (7, ["a", "b"], "seed")
    np.testing.assert_array_equal(await vector(client, "one"), draw(tiny.manifest.latent, [7])[0])
    shown = pixels(await client.get("/latents/one", headers=PNG))
    np.testing.assert_array_equal(shown, pixels(await client.post("/sample", json={"seed": 7}, headers=PNG)))
    listed = pixels(await client.post("/sample", json={"latents": ["one"]}, headers=PNG))
    np.testing.assert_array_equal(shown, listed)
    assert (await client.get("/latents/one")).json()["values"] == (await vector(client, "one")).tolist()


async def test_a_png_gives_its_latent_back(client: httpx.AsyncClient) -> None:
    """A picture of ours, dropped in, is the same latent bit for bit: from a seed, from values, with truncation."""
    await save(client, "mix", {"expression": "seed(1) - seed(2)", "normalize": False})
    for name, body in (
        ("a", {"seed": 3}),
        ("b", {"latents": ["mix"]}),
        ("c", {"seed": 3, "truncation": 0.5}),
    ):
        png = (await client.post("/sample", json=body, headers=PNG)).content
        answer = await client.post("/latents", json={"name": name, "from": {"image": base64.b64encode(png).decode()}})
        assert answer.status_code == 201, answer.text
        np.testing.assert_array_equal(
            pixels(await client.get(f"/latents/{name}", headers=PNG)), np.asarray(Image.open(io.BytesIO(png)))
        )
    np.testing.assert_array_equal(await vector(client, "b"), await vector(client, "mix"))
    np.testing.assert_array_equal(await vector(client, "c"), await vector(client, "a") * np.float32(0.5))


def _stripped(png: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(Image.open(io.BytesIO(png)))).save(buffer, "PNG")
    return buffer.getvalue()


def _with_recipe(text: str) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    info, buffer = PngInfo(), io.BytesIO()
    info.add_itxt("ganymede", text, zip=True)
    Image.new("RGB", (2, 2)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


async def test_a_png_without_an_honest_recipe_is_refused(client: httpx.AsyncClient) -> None:
    """Stripped, damaged, lying or foreign pictures get a sentence and save nothing."""
    png = (await client.post("/sample", json={"seed": 3}, headers=PNG)).content
    sheet = (await client.post("/sample", json={"seed": 3, "n": 4}, headers=PNG)).content
    model = (await client.get("/models/tiny")).json()
    reference = f"tiny@{model['digest']}"
    cases = [
        (_stripped(png), 422, "stripped"),
        (b"GIF89a", 415, "PNG"),
        (sheet, 422, "contact sheet"),
        (_with_recipe("{"), 422, "damaged"),
        (_with_recipe("[" * 5000), 422, "damaged"),
        (_with_recipe("[1]"), 422, "damaged"),
        (_with_recipe('{"seed": 1}'), 422, "names no model"),
        (_with_recipe('{"model": "gone@0123456789abcdef", "seed": 1}'), 404, "gone"),
        (_with_recipe('{"model": "tiny@0123456789abcdef", "seed": 1}'), 404, "digest"),
        (_with_recipe(f'{{"model": "{reference}", "seed": "x"}}'), 422, "no latent"),
        (_with_recipe(f'{{"model": "{reference}", "latent": "AAAA"}}'), 422, "no latent"),
        (_with_recipe(f'{{"model": "{reference}", "seed": 1, "truncation": NaN}}'), 422, "truncation"),
        (_with_recipe(f'{{"model": "{reference}", "seed": 1, "op": "upsample"}}'), 422, "upsample"),
    ]
    for data, status, words in cases:
        body = {"name": "x", "from": {"image": base64.b64encode(data).decode()}}
        answer = await client.post("/latents", json=body)
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    assert (await client.get("/latents")).json()["data"] == []


async def test_expressions_keep_their_lineage(client: httpx.AsyncClient, tiny: Bundle) -> None:
    """A latent made from others remembers them and the expression; the family tree survives a parent's removal."""
    a, b = await save(client, "a", {"seed": 1}), await save(client, "b", {"seed": 2})
    child = await save(client, "child", {"expression": "a-b  + 2*a"})
    assert child["expression"] == "a - b + 2 * a"
    assert child["parents"] == [{"id": a["id"], "name": "a"}, {"id": b["id"], "name": "b"}]
    one, two = draw(tiny.manifest.latent, [1, 2])
    expected = normalise(tiny.manifest.latent, 3 * one - two)
    np.testing.assert_allclose(await vector(client, "child"), expected, rtol=1e-5)
    await save(client, "grandchild", {"expression": "child"})
    await client.patch("/latents/a", json={"name": "renamed"})
    await client.delete("/latents/b")
    tree = (await client.get("/latents/grandchild/lineage")).json()["data"]
    assert [row["name"] for row in tree] == ["grandchild", "child", "renamed", "b"]
    assert tree[-1]["gone"] is True


async def test_bad_sources_are_refused(client: httpx.AsyncClient) -> None:
    """Wrong lengths, non-numbers, bad expressions and foreign bundles each get a sentence that says what is wrong."""
    await save(client, "smiling", {"seed": 1})
    cases = [
        ({"values": [0.0] * 7}, 422, "7 values"),
        ({"values": [1e39] * 8}, 422, "finite"),
        ({"expression": "smilling"}, 422, "the nearest is 'smiling'"),
        ({"expression": "smiling + "}, 422, "column 11"),
        ({"expression": "smiling + dir(old)"}, 422, "no direction 'old'"),
        ({}, 422, "exactly one"),
        ({"seed": 1, "values": [1.0]}, 422, "exactly one"),
        ({"seed": 1, "label": "red"}, 422, "takes no label"),
        ({"image": "?"}, 415, "base64"),
    ]
    for source, status, words in cases:
        answer = await client.post("/latents", json={"name": "x", "model": "tiny", "from": source})
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    foreign = await client.post("/sample", json={"model": "tiny-lapgan", "latents": ["smiling"]})
    assert foreign.status_code == 409
    assert "tiny@" in foreign.json()["detail"]
    assert "tiny-lapgan@" in foreign.json()["detail"]


async def test_names(client: httpx.AsyncClient) -> None:
    """Taken names, odd names and reserved names are refused; replace takes a name over; unknown ones suggest."""
    await save(client, "a", {"seed": 1})
    again = {"name": "a", "model": "tiny", "from": {"seed": 2}}
    assert (await client.post("/latents", json=again)).status_code == 409
    assert (await client.post("/latents", json={**again, "replace": True})).json()["seed"] == 2
    for name in ("export", "import", "a b", "-a", ""):
        assert (await client.post("/latents", json={**again, "name": name})).status_code == 422
    missing = await client.get("/latents/aa", headers={"accept": "application/json"})
    assert (missing.status_code, "'a'" in missing.json()["detail"]) == (404, True)
    assert (await client.patch("/latents/a", json={})).status_code == 422
    assert (await client.delete("/latents/a")).status_code == 204
    assert (await client.delete("/latents/a")).status_code == 404


async def test_list_filters_and_pages(client: httpx.AsyncClient) -> None:
    """Newest first, by model, tag and beginning of the name, page by page."""
    for k in range(5):
        await save(client, f"n{k}", {"seed": k}, tags=["odd"] if k % 2 else [])
    first = (await client.get("/latents", params={"limit": 2})).json()
    assert [row["name"] for row in first["data"]] == ["n4", "n3"]
    second = (await client.get("/latents", params={"limit": 9, "cursor": first["next_cursor"]})).json()
    assert [row["name"] for row in second["data"]] == ["n2", "n1", "n0"]
    assert second["next_cursor"] is None
    tagged = (await client.get("/latents", params={"tag": "odd", "model": "tiny", "q": "n"})).json()
    assert [row["name"] for row in tagged["data"]] == ["n3", "n1"]
    assert (await client.get("/latents", params={"cursor": "x"})).status_code == 422


async def test_conditional_latents_remember_their_class(client: httpx.AsyncClient) -> None:
    """A latent saved with a class is shown in that class unless another is asked for."""
    body = {"name": "g", "model": "tiny-labels", "from": {"seed": 4, "label": "green"}}
    assert (await client.post("/latents", json=body)).json()["label"] == "green"
    shown = pixels(await client.get("/latents/g", headers=PNG))
    sample = {"model": "tiny-labels", "seed": 4}
    green = pixels(await client.post("/sample", json={**sample, "label": "green"}, headers=PNG))
    np.testing.assert_array_equal(shown, green)
    blue = {"model": "tiny-labels", "latents": ["g"], "label": "blue"}
    assert not np.array_equal(pixels(await client.post("/sample", json=blue, headers=PNG)), green)


async def test_export_wipe_import_gives_the_same_pictures(client_with: ClientFactory, tmp_path: Path) -> None:
    """The file of one server makes the same pictures on another one that never saw them."""
    async with client_with(data_dir=tmp_path / "one") as client:
        await save(client, "a", {"seed": 1}, tags=["t"])
        await save(client, "b", {"expression": "a - seed(9)"})
        file = (await client.get("/latents/export")).content
        before = [pixels(await client.get(f"/latents/{name}", headers=PNG)) for name in "ab"]
    async with client_with(data_dir=tmp_path / "two") as client:
        done = await client.post("/latents/import", content=file)
        assert done.json() == {"saved": ["a", "b"], "skipped": [], "renamed": {}}
        after = [pixels(await client.get(f"/latents/{name}", headers=PNG)) for name in "ab"]
        assert (await client.get("/latents/a")).json()["tags"] == ["t"]
        assert (await client.post("/latents/import", content=file)).status_code == 409
        assert (await client.post("/latents/import", content=b"")).status_code == 400
    np.testing.assert_array_equal(before, after)


async def test_saved_work_survives_a_restart(client_with: ClientFactory, tmp_path: Path) -> None:
    """What was saved is there after the server was stopped and started again on the same folder."""
    async with client_with(data_dir=tmp_path / "kept") as client:
        await save(client, "a", {"seed": 1})
        numbers = await vector(client, "a")
    async with client_with(data_dir=tmp_path / "kept") as client:
        np.testing.assert_array_equal(await vector(client, "a"), numbers)


async def test_sample_keeps_what_it_shows(client: httpx.AsyncClient) -> None:
    """save_as keeps the latent of the picture in the answer, truncation included."""
    body = {"seed": 5, "truncation": 0.7, "save_as": "kept"}
    shown = pixels(await client.post("/sample", json=body, headers=PNG))
    np.testing.assert_array_equal(pixels(await client.get("/latents/kept", headers=PNG)), shown)
    assert (await client.post("/sample", json=body)).status_code == 409


@pytest.mark.parametrize("body", [b"{", b'{"format": "x"}', b"\xff\xfe"])
async def test_an_import_that_is_no_export_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    """Anything but our own file is a clear problem."""
    answer = await client.post("/latents/import", content=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
