"""POST /project: a picture goes in, the nearest latent comes out, with an honest distance."""

import asyncio
import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from models.errors import RuntimeUnavailableError
from models.runtimes import projection_by_differences

JSON = {"accept": "application/json", "prefer": "wait=120"}
PNG = {"accept": "image/png"}
NPY = {"accept": "application/x-npy"}
QUICK = {"steps": "60", "restarts": "3"}


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


async def sample(client: httpx.AsyncClient, body: dict[str, Any]) -> np.ndarray:
    return np.load(io.BytesIO((await client.post("/sample", json=body, headers=NPY)).content))[0]


async def test_a_sample_is_found_and_kept(client: httpx.AsyncClient) -> None:
    """A picture without its recipe is found again: near, named, and its saved latent makes the picture in the answer."""
    target = await sample(client, {"seed": 100_004})
    files = {"image": ("face.png", png(target), "image/png")}
    fields = {**QUICK, "model": "tiny", "save_as": "found", "tags": ["t1", "t2"], "response_format": "b64_json"}
    answer = await client.post("/project", files=files, data=fields, headers=JSON)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["distance"]["psnr_db"] >= 30
    assert body["saved"] == "found"
    kept = (await client.get("/latents/found")).json()
    assert (kept["origin"], kept["tags"], kept["notes"]) == ("projection", ["t1", "t2"], body["distance"])
    shown = await sample(client, {"latents": ["found"]})
    assert 10 * np.log10(255**2 / np.square(shown.astype(float) - target).mean()) >= 30


async def test_other_shapes_and_a_raw_body(client: httpx.AsyncClient) -> None:
    """A wide photograph as the body is cropped to the model's size; what the generator cannot make is said so."""
    stripes = np.zeros((40, 90, 3), np.uint8)
    stripes[:, ::7] = 255
    answer = await client.post(
        "/project?steps=20&restarts=1&fit=pad",
        content=png(stripes),
        headers={**JSON, "content-type": "image/png"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["distance"]["psnr_db"] < 22
    assert "cannot make this picture" in answer.json()["notes"][0]
    assert (answer.json()["data"][0]["width"], answer.json()["data"][0]["height"]) == (16, 16)


async def test_a_long_search_is_a_job(client: httpx.AsyncClient) -> None:
    """Asked for as usual, a search becomes a job at once, says so, and its result is the picture."""
    files = {"image": ("x.png", png(await sample(client, {"seed": 100_005})), "image/png")}
    accepted = await client.post("/project", files=files, data={**QUICK, "save_as": "later"})
    assert (accepted.status_code, accepted.json()["op"]) == (202, "project")
    for _ in range(600):
        result = await client.get(accepted.json()["urls"]["result"], headers=PNG)
        if result.status_code != 202:
            break
        await asyncio.sleep(0.1)
    assert result.status_code == 200, result.text
    assert result.headers["content-type"] == "image/png"
    assert (await client.get("/latents/later")).json()["origin"] == "projection"


async def test_progress_shows_the_current_picture(client: httpx.AsyncClient) -> None:
    """The stream shows steps, distance and the picture so far, then the result."""
    noise = np.random.RandomState(0).randint(0, 256, (16, 16, 3)).astype(np.uint8)
    files = {"image": ("x.png", png(noise), "image/png")}
    answer = await client.post("/project", files=files, data=QUICK, headers={"accept": "text/event-stream"})
    names = [line for line in answer.text.split("\n") if line.startswith("event: ")]
    assert names.count("event: progress") >= 3
    assert names[-1] == "event: result"
    first = json.loads(
        next(line for line in answer.text.split("\n") if line.startswith("data: ")).removeprefix("data: ")
    )
    assert {"done", "total", "unit", "psnr_db", "b64_json"} <= set(first)


async def test_bad_uploads(client: httpx.AsyncClient) -> None:
    """No picture, no picture format, broken multipart, wrong fields: each is a clear problem."""
    good = png(np.zeros((8, 8, 3), np.uint8))
    assert (await client.post("/project", json={})).status_code == 415
    assert (await client.post("/project", files={"image": ("x.png", b"", "image/png")})).status_code == 422
    assert (await client.post("/project", files={"image": ("x.svg", b"<svg/>", "image/svg+xml")})).status_code == 415
    kind = {"content-type": "multipart/form-data; boundary=x"}
    assert (await client.post("/project", content=b"--y", headers=kind)).status_code in (400, 422)
    wrong = await client.post("/project", files={"image": ("x.png", good)}, data={"steps": "many", "stepz": "3"})
    assert wrong.status_code == 422
    assert {row["pointer"] for row in wrong.json()["errors"]} == {"/steps", "/stepz"}


@pytest.mark.parametrize("longest", [1024, 4])
async def test_without_torch_it_goes_by_differences(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, longest: int
) -> None:
    """A serving installation without torch finds latents too; for very long ones it says which extra to install."""

    def absent(*_: object, **__: object) -> None:
        raise RuntimeUnavailableError("torch is not installed; install ganymede[train]")

    monkeypatch.setattr(projection_by_differences, "project", absent)
    monkeypatch.setattr(projection_by_differences, "LARGEST_LATENT", longest)
    files = {"image": ("x.png", png(await sample(client, {"seed": 100_004})))}
    answer = await client.post("/project", files=files, data=QUICK, headers=JSON)
    if longest == 4:
        assert (answer.status_code, "ganymede[train]" in answer.json()["detail"]) == (501, True)
        return
    assert answer.status_code == 200, answer.text
    assert answer.json()["distance"]["psnr_db"] >= 30
