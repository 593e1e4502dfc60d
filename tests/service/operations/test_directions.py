"""/directions: found, kept, locked, and used inside expressions."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from models.bundle import Bundle, write_manifest
from models.mathematics.directions import FILE, Direction, directions_to_bytes
from models.mathematics.latents import draw
from tests.conftest import ClientFactory

JSON = {"accept": "application/json"}
NPY = {"accept": "application/x-npy"}


async def find(client: httpx.AsyncClient, name: str, source: dict[str, Any], **fields: object) -> httpx.Response:
    return await client.post("/directions", json={"name": name, "model": "tiny", "from": source, **fields})


@pytest.fixture
async def saved(client: httpx.AsyncClient) -> httpx.AsyncClient:
    for k, name in enumerate(("l1", "l2", "r1", "r2")):
        await client.post("/latents", json={"name": name, "model": "tiny", "from": {"seed": k}})
    return client


async def test_a_difference_is_a_turn_vector(saved: httpx.AsyncClient, tiny: Bundle) -> None:
    """The mean of some minus the mean of others, kept with its parents, and usable as dir(name)."""
    source = {"difference": {"positive": ["l1", "l2"], "negative": ["r1", "r2"]}}
    answer = (await find(saved, "turn", source)).json()
    rows = draw(tiny.manifest.latent, [0, 1, 2, 3])
    expected = rows[:2].mean(0) - rows[2:].mean(0)
    vector = np.load(io.BytesIO((await saved.get("/directions/turn", headers=NPY)).content))
    np.testing.assert_allclose(vector, expected, atol=1e-6)
    assert [parent["name"] for parent in answer["parents"]] == ["l1", "l2", "r1", "r2"]
    both = [
        {"expression": "r1 + 2 * dir(turn)", "normalize": False},
        {"expression": "r1 + l1 + l2 - r1 - r2", "normalize": False},
    ]
    first, second = [np.load(io.BytesIO((await saved.post("/arithmetic", json=b, headers=NPY)).content)) for b in both]
    assert np.abs(first.astype(int) - second).max() <= 1


async def test_principal_components_of_a_bundle(saved: httpx.AsyncClient) -> None:
    """PCA directions come with what they explain; the second is another one than the first."""
    for k in range(2):
        answer = await find(saved, f"pc{k}", {"pca": {"component": k, "samples": 200}})
        assert answer.status_code == 200, answer.text
        assert 0 < answer.json()["notes"]["variance_share"] <= 1
    one, two = [(await saved.get(f"/directions/pc{k}")).json()["values"] for k in range(2)]
    cosine = np.dot(one, two) / np.linalg.norm(one) / np.linalg.norm(two)
    assert abs(cosine) < 0.9
    beyond = await find(saved, "pc99", {"pca": {"component": 99, "samples": 100}})
    assert beyond.status_code == 422


async def test_locked_directions_are_left_still(saved: httpx.AsyncClient) -> None:
    """orthogonal_to removes what two directions share; locking a direction against itself leaves nothing."""
    await find(saved, "a", {"expression": "l1 - r1"})
    await find(saved, "b", {"expression": "l1 - r2"}, orthogonal_to=["a"])
    one, two = [(await saved.get(f"/directions/{name}")).json()["values"] for name in "ab"]
    assert abs(np.dot(one, two)) < 1e-4
    nothing = await find(saved, "c", {"expression": "l1 - l1"})
    assert nothing.status_code == 422


async def test_directions_are_listed_and_removed(saved: httpx.AsyncClient) -> None:
    """Saved directions have names of their own, apart from latents."""
    await find(saved, "l1", {"expression": "l1 - r1"})
    assert (await find(saved, "l1", {"expression": "l1"})).status_code == 409
    rows = (await saved.get("/directions")).json()["data"]
    assert [(row["name"], row["shipped"]) for row in rows] == [("l1", False)]
    assert (await saved.delete("/directions/l1")).status_code == 204
    assert (await saved.get("/directions/l1")).status_code == 404
    assert (await saved.get("/latents/l1")).status_code == 200


async def test_bad_sources(saved: httpx.AsyncClient) -> None:
    """What cannot give a direction is refused with where and why."""
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "exactly one"),
        ({"classifier": {"class": "smile"}}, "no classifier"),
        ({"difference": {"positive": ["l1"], "negative": []}}, "/from/difference/negative"),
        ({"difference": {"positive": ["l9"], "negative": ["l1"]}}, "l9"),
        ({"expression": "l1 -"}, "column"),
        ({"pca": {"samples": 5}}, "/from/pca/samples"),
    ]
    for source, words in cases:
        answer = await find(saved, "x", source)
        assert (answer.status_code, words in answer.text) == (422, True), answer.text
    unknown = await find(saved, "x", {"expression": "l1"}, orthogonal_to=["smiling"])
    assert unknown.status_code == 404


async def test_the_classifier_of_a_bundle(client_with: ClientFactory, bundle_folder: Path, tmp_path: Path) -> None:
    """Toward a class of the bundle's own classifier: moving along it raises what the classifier says of the class."""
    folder = Path(shutil.copytree(bundle_folder / "tiny", tmp_path / "bundles" / "tiny"))
    fields = json.loads((folder / "manifest.json").read_text())
    fields.pop("files")
    fields["discriminator"] |= {"kind": "classes", "classes": ["bright"]}
    write_manifest(folder, fields)
    async with client_with(bundles=(tmp_path / "bundles",)) as client:
        wrong = await find(client, "x", {"classifier": {"class": "brighd"}})
        assert (wrong.status_code, "the nearest is 'bright'" in wrong.json()["detail"]) == (422, True)
        answer = await find(client, "bright", {"classifier": {"class": "bright", "samples": 300}})
        assert answer.status_code == 200, answer.text
        assert answer.json()["origin"] == "learned"
        model = client.app.state.ganymede.catalogue.get("tiny")
        vector = np.array((await client.get("/directions/bright")).json()["values"], np.float32)
        latents = draw(model.manifest.latent, range(5000, 5040))
        before, after = (
            model.runtime.discriminate(model.runtime.run_level(0, None, z, None)).logits
            for z in (latents, latents + 2 * vector)
        )
        assert (after > before).mean() > 0.8


async def test_shipped_directions(client_with: ClientFactory, bundle_folder: Path, tmp_path: Path) -> None:
    """A direction in the bundle is listed with its figures and works in expressions without being saved."""
    folder = Path(shutil.copytree(bundle_folder / "tiny", tmp_path / "bundles" / "tiny"))
    vector = np.linspace(-1, 1, 8, dtype=np.float32)
    (folder / FILE).write_bytes(directions_to_bytes([Direction("smiling", vector, "learned", "unit", {"flips": 0.9})]))
    fields = json.loads((folder / "manifest.json").read_text())
    fields.pop("files")
    write_manifest(folder, fields)
    async with client_with(bundles=(tmp_path / "bundles",)) as client:
        row = (await client.get("/directions", params={"model": "tiny"})).json()["data"][0]
        assert (row["name"], row["shipped"], row["measured"]) == ("smiling", True, {"flips": 0.9})
        reference = (await client.get("/models/tiny")).json()["reference"]
        assert (row["model"], row["url"]) == (reference, f"/directions/smiling?model={reference}")
        body = {"expression": "seed(1) + 1.5 * dir(smiling)", "normalize": False, "save_as": "y"}
        assert (await client.post("/arithmetic", json=body)).status_code == 200
        kept = (await client.get("/latents/y")).json()["values"]
        one = np.random.RandomState(1).standard_normal(8).astype(np.float32)
        np.testing.assert_allclose(kept, one + 1.5 * vector, rtol=1e-6)
        wrong = await client.post("/arithmetic", json={"expression": "seed(1) + dir(smilling)"})
        assert "the nearest is 'smiling'" in wrong.json()["detail"]
