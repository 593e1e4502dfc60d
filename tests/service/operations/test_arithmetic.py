"""POST /arithmetic: what is added and subtracted is what algebra says, and the answer shows how."""

import base64
import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from models.bundle import Bundle
from models.mathematics.latents import draw, normalise
from tests.conftest import AppClient

JSON = {"accept": "application/json"}
PNG = {"accept": "image/png"}
NPY = {"accept": "application/x-npy"}
FORMULA = "mean(a1, a2, a3) - mean(b1, b2, b3) + c1"


@pytest.fixture
async def saved(client: AppClient) -> AppClient:
    for k, name in enumerate(("a1", "a2", "a3", "b1", "b2", "b3", "c1")):
        body = {"name": name, "model": "tiny", "from": {"seed": 10 + k}}
        assert (await client.post("/latents", json=body)).status_code == 201
    return client


async def stack(client: httpx.AsyncClient, body: dict[str, Any]) -> np.ndarray:
    answer = await client.post("/arithmetic", json=body, headers=NPY)
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


async def test_the_result_is_the_sum_and_is_kept(saved: httpx.AsyncClient, tiny: Bundle) -> None:
    """Means of three are added and subtracted, brought back to the shell, shown, and kept with all seven parents."""
    body = {"expression": FORMULA, "save_as": "y"}
    answer = (await saved.post("/arithmetic", json=body, headers=JSON)).json()
    rows = draw(tiny.manifest.latent, list(range(10, 17)))
    expected = normalise(tiny.manifest.latent, rows[:3].mean(0) - rows[3:6].mean(0) + rows[6])
    kept = (await saved.get("/latents/y")).json()
    np.testing.assert_allclose(kept["values"], expected, rtol=1e-5)
    assert [parent["name"] for parent in kept["parents"]] == ["a1", "a2", "a3", "b1", "b2", "b3", "c1"]
    assert (kept["expression"], kept["origin"], answer["saved"]) == (FORMULA, "expression", "y")
    assert np.linalg.norm(kept["values"]) == pytest.approx(8**0.5, rel=1e-5)
    again = np.load(io.BytesIO((await saved.post("/sample", json={"latents": ["y"]}, headers=NPY)).content))
    np.testing.assert_array_equal(again, await stack(saved, {"expression": FORMULA}))
    assert "c1" in answer["notes"][0]


async def test_terms_say_the_same(saved: httpx.AsyncClient) -> None:
    """The list form gives the same picture as the expression."""
    terms = [
        {"latents": ["a1", "a2", "a3"]},
        {"latents": ["b1", "b2", "b3"], "weight": -1.0},
        {"latents": ["c1"], "weight": 0.5},
    ]
    answer = (await saved.post("/arithmetic", json={"terms": terms}, headers=JSON)).json()
    assert answer["expression"] == "mean(a1, a2, a3) - mean(b1, b2, b3) + 0.5 * c1"
    np.testing.assert_array_equal(
        await stack(saved, {"terms": terms}), await stack(saved, {"expression": answer["expression"]})
    )


async def test_without_normalize_the_numbers_stay(saved: httpx.AsyncClient, tiny: Bundle) -> None:
    """normalize: false keeps the plain sum."""
    body = {"expression": "a1 + b1", "normalize": False, "save_as": "sum"}
    assert (await saved.post("/arithmetic", json=body)).status_code == 200
    one, two = draw(tiny.manifest.latent, [10, 13])
    np.testing.assert_array_equal((await saved.get("/latents/sum")).json()["values"], one + two)


async def test_neighbourhood_surrounds_the_result(saved: httpx.AsyncClient) -> None:
    """Nine pictures with the result in the middle, the same each time; another seed gives other neighbours."""
    body = {"expression": FORMULA, "neighbourhood": {"radius": 0.25, "n": 8}}
    nine, alone = await stack(saved, body), await stack(saved, {"expression": FORMULA})
    assert nine.shape[0] == 9
    np.testing.assert_array_equal(nine[4], alone[0])
    np.testing.assert_array_equal(nine, await stack(saved, body))
    other = await stack(saved, {**body, "neighbourhood": {"seed": 1}})
    assert not np.array_equal(other[0], nine[0])
    sheet = Image.open(io.BytesIO((await saved.post("/arithmetic", json=body, headers=PNG)).content))
    assert sheet.size == (3 * 16 + 4, 3 * 16 + 4)


async def test_equation_shows_every_operand(saved: httpx.AsyncClient) -> None:
    """One picture holds all exemplars, the means and the result, pixel for pixel; dropped in, it gives the result."""
    body = {"expression": FORMULA, "layout": "equation"}
    png = (await saved.post("/arithmetic", json=body, headers=PNG)).content
    picture = np.asarray(Image.open(io.BytesIO(png)))
    result = (await stack(saved, {"expression": FORMULA}))[0]
    exemplar = np.load(io.BytesIO((await saved.post("/sample", json={"seed": 10}, headers=NPY)).content))[0]
    mean = (await stack(saved, {"expression": "mean(a1, a2, a3)"}))[0]
    assert all(_contains(picture, part) for part in (result, exemplar, mean))
    recipe = {"name": "dropped", "from": {"image": base64.b64encode(png).decode()}}
    assert (await saved.post("/latents", json=recipe)).status_code == 201
    dropped = await saved.post("/sample", json={"latents": ["dropped"]}, headers=NPY)
    np.testing.assert_array_equal(np.load(io.BytesIO(dropped.content))[0], result)


def _contains(picture: np.ndarray, part: np.ndarray) -> bool:
    windows = np.lib.stride_tricks.sliding_window_view(picture, part.shape)
    return bool((windows == part).all(axis=(-3, -2, -1)).any())


async def test_an_equation_shows_what_was_added(saved: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who removes an operand while the pictures are made changes nothing of them."""
    body = {"expression": FORMULA, "layout": "equation"}
    before = await saved.post("/arithmetic", json=body, headers=PNG)
    engine = saved.app.state.ganymede.engine
    pixels = engine.pixels

    async def meanwhile(*args: Any, **options: Any) -> Any:
        await saved.delete("/latents/c1")
        return await pixels(*args, **options)

    monkeypatch.setattr(engine, "pixels", meanwhile)
    after = await saved.post("/arithmetic", json=body, headers=PNG)
    assert after.status_code == 200, after.text
    assert after.content == before.content


async def test_mistakes_point_to_their_column(saved: httpx.AsyncClient) -> None:
    """A wrong name, sign or field is a problem that says where and what was probably meant."""
    cases = [
        ({"expression": "mean(a1, a22) - b1"}, "column 10: no saved latent 'a22'; the nearest is 'a2'"),
        ({"expression": "a1 - -"}, "column 7"),
        ({"expression": "a1 * b1"}, "column 6"),
        ({"expression": "dir(age) + a1"}, "no direction 'age'"),
        ({"expression": "a1", "terms": [{"latents": ["a1"]}]}, "either expression or terms"),
        ({"expresion": "a1"}, "did you mean 'expression'"),
        ({"expression": "a1", "neighbourhood": {"radius": -1}}, "/neighbourhood/radius"),
    ]
    for body, words in cases:
        answer = await saved.post("/arithmetic", json=body)
        assert (answer.status_code, words in json.dumps(answer.json())) == (422, True), answer.text


async def test_other_bundles_are_refused(saved: httpx.AsyncClient) -> None:
    """A latent of another bundle is refused with a sentence that names both; without a model the latents' own is used."""
    refused = await saved.post("/arithmetic", json={"model": "tiny-labels", "expression": "a1"})
    assert refused.status_code == 409
    assert "'a1' belongs to tiny@" in refused.json()["detail"]
    assert "tiny-labels@" in refused.json()["detail"]
    body = {"name": "l", "model": "tiny-labels", "from": {"seed": 1, "label": "blue"}}
    await saved.post("/latents", json=body)
    answer = (await saved.post("/arithmetic", json={"expression": "l + 0.1 * seed(2)"}, headers=JSON)).json()
    assert answer["model"].startswith("tiny-labels@")
    assert answer["data"][0]["label"] == "blue"


async def test_operands_that_cancel_out_are_said_so(saved: httpx.AsyncClient) -> None:
    """The difference of a latent and itself is the centre, and the answer says it."""
    answer = (await saved.post("/arithmetic", json={"expression": "a1 - a1"}, headers=JSON)).json()
    assert (answer["norm"], "cancel out" in answer["notes"][0]) == (0.0, True)


async def test_taken_name_is_refused(saved: httpx.AsyncClient) -> None:
    """save_as does not overwrite unless told to."""
    body = {"expression": "a1 + b1", "save_as": "c1"}
    assert (await saved.post("/arithmetic", json=body)).status_code == 409
    assert (await saved.post("/arithmetic", json={**body, "replace": True})).status_code == 200
