"""POST /interpolate: walks that meet their stops, in every form they can be watched."""

import base64
import io
import json
import zipfile
from typing import Any

import httpx
import numpy as np
from PIL import Image, ImageSequence

from tests.conftest import ClientFactory

NPY = {"accept": "application/x-npy"}
WALK = {"stops": [1, 2], "frames": 7}


async def stack(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> np.ndarray:
    answer = await client.post(path, json=body, headers=NPY)
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


async def test_the_ends_are_the_stops(client: httpx.AsyncClient) -> None:
    """The first and last frame are the pictures of the stops; all stops are frames; the JSON says which."""
    frames = await stack(client, "/interpolate", {"stops": [1, 2, 3], "frames": 9})
    alone = await stack(client, "/sample", {"seeds": [1, 2, 3]})
    np.testing.assert_array_equal(frames[[0, 4, 8]], alone)
    answer = await client.post(
        "/interpolate", json={"stops": [1, 2, 3], "frames": 9}, headers={"accept": "application/json"}
    )
    assert answer.json()["stops"] == [0, 4, 8]
    assert answer.json()["method"] == "slerp"


async def test_stops_of_every_kind(client: httpx.AsyncClient) -> None:
    """A seed, a saved name, an expression and plain numbers may be mixed."""
    for name in ("smile-1", "b"):
        await client.post("/latents", json={"name": name, "model": "tiny", "from": {"seed": len(name)}})
    stops = ["smile-1", 7, "b - seed(4)", {"values": [0.5] * 8}, {"latent": "b"}, {"seed": 3}]
    frames = await stack(client, "/interpolate", {"stops": stops, "frames": 6})
    alone = await stack(client, "/sample", {"latents": ["smile-1", {"values": [0.5] * 8}, "b"]})
    np.testing.assert_array_equal(frames[[0, 3, 4]], alone)


async def test_a_loop_comes_back(client: httpx.AsyncClient) -> None:
    """A loop starts at the first stop and ends one step before it."""
    frames = await stack(client, "/interpolate", {**WALK, "frames": 8, "loop": True})
    alone = await stack(client, "/sample", {"seeds": [1, 2]})
    np.testing.assert_array_equal(frames[[0, 4]], alone)
    assert not np.array_equal(frames[-1], frames[0])


async def test_it_moves_as_webp_and_gif(client: httpx.AsyncClient) -> None:
    """Animated WebP and GIF have every frame, the right speed and the loop flag; PNG is a contact sheet."""
    for media in ("image/webp", "image/gif"):
        answer = await client.post("/interpolate", json={**WALK, "fps": 10, "loop": True}, headers={"accept": media})
        assert answer.headers["content-type"] == media
        moving = Image.open(io.BytesIO(answer.content))
        assert (len(ImageSequence.all_frames(moving)), moving.size, moving.info["loop"]) == (7, (16, 16), 0)
        moving.seek(1)
        moving.load()
        assert moving.info["duration"] == 100
    sheet = await client.post("/interpolate", json=WALK, headers={"accept": "image/png"})
    picture = Image.open(io.BytesIO(sheet.content))
    assert picture.size == (3 * 16 + 4, 3 * 16 + 4)
    assert len(json.loads(picture.info["ganymede"])["stops"]) == 2
    files = zipfile.ZipFile(
        io.BytesIO((await client.post("/interpolate", json=WALK, headers={"accept": "application/zip"})).content)
    )
    assert len(files.namelist()) == 7


async def test_frames_stream_as_they_are_made(client: httpx.AsyncClient) -> None:
    """Each frame is an event of its own, in order, before the result; the pictures are those of the result."""
    body = {**WALK, "frames": 20}
    answer = await client.post("/interpolate", json=body, headers={"accept": "text/event-stream"})
    events = [block.split("\n") for block in answer.text.strip().split("\n\n")]
    named = [(lines[1].removeprefix("event: "), json.loads(lines[2].removeprefix("data: "))) for lines in events]
    frames = [data for name, data in named if name == "frame"]
    assert [data["index"] for data in frames] == list(range(20))
    assert [name for name, _ in named][-1] == "result"
    pixels = [np.asarray(Image.open(io.BytesIO(base64.b64decode(data["b64_json"])))) for data in frames]
    np.testing.assert_array_equal(pixels, await stack(client, "/interpolate", body))


async def test_detail_of_a_pyramid(client: httpx.AsyncClient) -> None:
    """With fixed detail a LAPGAN walk ends in the second stop's base with the first stop's noise plane."""
    moving, fixed = [
        await stack(client, "/interpolate", {**WALK, "model": "tiny-lapgan", "detail": detail})
        for detail in ("moving", "fixed")
    ]
    alone = await stack(client, "/sample", {"model": "tiny-lapgan", "seeds": [1, 2]})
    np.testing.assert_array_equal(moving[[0, 6]], alone)
    np.testing.assert_array_equal(fixed[0], alone[0])
    assert not np.array_equal(fixed[6], alone[1])


async def test_classes_change_half_way(client: httpx.AsyncClient) -> None:
    """Between stops of two classes each frame has the class of the nearer one, unless one is asked for."""
    stops = [{"seed": 1, "label": "red"}, {"seed": 2, "label": "blue"}]
    body = {"model": "tiny-labels", "stops": stops, "frames": 5}
    answer = (await client.post("/interpolate", json=body, headers={"accept": "application/json"})).json()
    assert [entry["label"] for entry in answer["data"]] == ["red", "red", "blue", "blue", "blue"]
    assert "nearer stop" in answer["notes"][0]
    one = {**body, "label": "green"}
    answer = (await client.post("/interpolate", json=one, headers={"accept": "application/json"})).json()
    assert {entry["label"] for entry in answer["data"]} == {"green"}


async def test_bad_walks(client: httpx.AsyncClient, client_with: ClientFactory) -> None:
    """Too few stops or frames, unknown names and too long walks are refused with a pointer."""
    cases = [
        ({"stops": [1]}, "/stops"),
        ({"stops": [1, 2, 3], "frames": 2}, "/frames"),
        ({"stops": [1, "a +"]}, "/stops/1"),
        ({"stops": [1, {"values": [1.0]}]}, "/stops/1/values"),
        ({"stops": [1, 2], "fps": 0}, "/fps"),
        ({"stops": [1, 2], "frames": 601}, "/frames"),
        ({"stops": [1, {"seed": 1, "latent": "a"}]}, "exactly one"),
    ]
    for body, words in cases:
        answer = await client.post("/interpolate", json=body)
        assert (answer.status_code, words in answer.text) == (422, True), answer.text
    assert (await client.post("/interpolate", json={"stops": [1, "nobody"]})).status_code == 404
