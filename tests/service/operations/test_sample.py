"""POST /sample over HTTP, on real graphs."""

import io
import json
import zipfile

import httpx
import numpy as np
import pytest
from PIL import Image

PNG = {"accept": "image/png"}
NPY = {"accept": "application/x-npy"}


def array(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    return np.load(io.BytesIO(response.content))


async def test_sheet_of_sixteen_is_the_same_bytes_tomorrow(client: httpx.AsyncClient) -> None:
    """The README's first line: a 4x4 sheet, and again the same bytes."""
    body = {"model": "tiny", "n": 16, "seed": 7}
    first, second = [await client.post("/sample", json=body) for _ in range(2)]
    assert first.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(first.content)).size == (4 * 16 + 6, 4 * 16 + 6)
    assert first.content == second.content
    assert first.headers["ganymede-seed"] == ",".join(str(s) for s in range(7, 23))


async def test_one_seed_one_picture_in_any_company(client: httpx.AsyncClient) -> None:
    """Seed s asked alone, in a range and in a list is the same picture."""
    together = array(await client.post("/sample", json={"n": 20, "seed": 100}, headers=NPY))
    for k in (0, 7, 19):
        alone = array(await client.post("/sample", json={"seed": 100 + k}, headers=NPY))
        listed = array(await client.post("/sample", json={"seeds": [5, 100 + k, 9]}, headers=NPY))
        assert np.array_equal(alone[0], together[k])
        assert np.array_equal(listed[1], together[k])


async def test_seeds_wrap_around(client: httpx.AsyncClient) -> None:
    """Seed 2**32-1 is followed by seed 0."""
    answer = await client.post("/sample", json={"seed": 2**32 - 1, "n": 2}, headers={"accept": "application/json"})
    assert [entry["seed"] for entry in answer.json()["data"]] == [2**32 - 1, 0]


async def test_envelope_urls_give_the_same_picture(client: httpx.AsyncClient) -> None:
    """The url in an envelope is a pure address of that very picture."""
    answer = await client.post(
        "/sample", json={"seed": 3, "n": 2, "truncation": 0.5}, headers={"accept": "application/json"}
    )
    stack = array(await client.post("/sample", json={"seed": 3, "n": 2, "truncation": 0.5}, headers=NPY))
    for entry, pixels in zip(answer.json()["data"], stack, strict=True):
        fetched = await client.get(entry["url"])
        assert fetched.headers["cache-control"].endswith("immutable")
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(fetched.content))), pixels)
        again = await client.get(entry["url"], headers={"if-none-match": fetched.headers["etag"]})
        assert again.status_code == 304
        assert again.content == b""


async def test_representations(client: httpx.AsyncClient) -> None:
    """Every representation holds the pictures that were asked for."""
    body = {"seed": 1, "n": 3, "response_format": "b64_json"}
    archive = await client.post("/sample", json=body, headers={"accept": "application/zip"})
    assert zipfile.ZipFile(io.BytesIO(archive.content)).namelist() == ["1.png", "2.png", "3.png"]
    for media, kind in (("image/webp", "WEBP"), ("image/jpeg", "JPEG"), ("image/png", "PNG")):
        picture = await client.post("/sample", json=body, headers={"accept": media})
        assert Image.open(io.BytesIO(picture.content)).format == kind
    events = await client.post("/sample", json=body, headers={"accept": "text/event-stream"})
    last = events.text.strip().split("\n\n")[-1]
    assert "event: result" in last
    assert len(json.loads(last.split("data: ")[1])["data"]) == 3


async def test_every_answer_says_its_seeds(client: httpx.AsyncClient) -> None:
    """Asked for or drawn at random, in every representation: the seeds that make the same pictures again."""
    for wish in ({"seed": 1}, {}):
        for media in (
            "image/png",
            "image/webp",
            "image/jpeg",
            "application/zip",
            "application/x-npy",
            "application/x-npz",
        ):
            answer = await client.post("/sample", json={**wish, "n": 3}, headers={"accept": media})
            first, *_ = seeds = [int(seed) for seed in answer.headers["ganymede-seed"].split(",")]
            assert seeds == [(first + k) % 2**32 for k in range(3)], media
            assert first == wish.get("seed", first)
            again = await client.post("/sample", json={"seed": first, "n": 3}, headers={"accept": media})
            assert again.content == answer.content, media
    events = await client.post("/sample", json={"n": 2}, headers={"accept": "text/event-stream"})
    assert len([row["seed"] for row in json.loads(events.text.split("data: ")[-1])["data"]]) == 2


async def test_png_carries_its_recipe(client: httpx.AsyncClient) -> None:
    """The file says which model and seed made it, and that a machine did; metadata=none says nothing."""
    picture = await client.post("/sample", json={"seed": 5}, headers=PNG)
    text = Image.open(io.BytesIO(picture.content)).info
    recipe = json.loads(text["ganymede"])
    assert recipe["seed"] == 5
    assert recipe["model"].startswith("tiny@")
    assert "trainedAlgorithmicMedia" in text["XML:com.adobe.xmp"]
    bare = await client.post("/sample", json={"seed": 5, "metadata": "none"}, headers=PNG)
    assert Image.open(io.BytesIO(bare.content)).info == {}


async def test_labels(client: httpx.AsyncClient) -> None:
    """A label by name and by number is the same class; without one the seed takes the classes in turn."""
    named = array(await client.post("/sample", json={"model": "tiny-labels", "seed": 4, "label": "blue"}, headers=NPY))
    numbered = array(await client.post("/sample", json={"model": "tiny-labels", "seed": 4, "label": 2}, headers=NPY))
    turn = await client.post(
        "/sample", json={"model": "tiny-labels", "seed": 4}, headers={"accept": "application/json"}
    )
    assert np.array_equal(named, numbered)
    assert turn.json()["data"][0]["label"] == "green"


async def test_latent_values_are_the_seed_they_came_from(client: httpx.AsyncClient) -> None:
    """Any client with NumPy can compute a seed's latent and get the same picture from it."""
    values = np.random.RandomState(11).standard_normal(8).astype(np.float32).tolist()
    by_values = array(await client.post("/sample", json={"latents": [{"values": values}]}, headers=NPY))
    by_seed = array(await client.post("/sample", json={"seed": 11}, headers=NPY))
    assert np.array_equal(by_values, by_seed)


async def test_pyramid_streams_its_levels(client: httpx.AsyncClient) -> None:
    """A pyramid's coarse picture is an event of its own, before the result."""
    body = {"model": "tiny-lapgan", "seed": 1}
    events = await client.post("/sample", json=body, headers={"accept": "text/event-stream"})
    names = [line.split(": ")[1] for line in events.text.splitlines() if line.startswith("event")]
    assert [name for name in names if name in {"level", "result"}] == ["level", "level", "result"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"n": 0}, 422),
        ({"n": 10**9}, 422),
        ({"seed": -1}, 422),
        ({"seed": 2**32}, 422),
        ({"seed": 1.5}, 422),
        ({"seed": "1"}, 422),
        ({"n": True}, 422),
        ({"model": "nothing"}, 404),
        ({"model": "tiny@0000000000000000"}, 404),
        ({"label": "red"}, 422),
        ({"model": "tiny-labels", "label": "purple"}, 422),
        ({"truncation": -1}, 422),
        ({"seed": 1, "seeds": [2]}, 422),
        ({"latents": [{"values": [1.0]}]}, 422),
        ({"latents": [{"values": [1e39] * 8}]}, 422),
        ({"colour": "red"}, 422),
        ([], 422),
    ],
)
async def test_bad_values_get_a_clear_problem(client: httpx.AsyncClient, body: object, status: int) -> None:
    """The right status and a problem that a person can act on."""
    answer = await client.post("/sample", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert {"type", "title", "status", "detail", "instance"} <= problem.keys()
    assert "Traceback" not in answer.text


async def test_unreadable_requests(client: httpx.AsyncClient) -> None:
    """Broken JSON is 400, NaN 422 or 400, a wrong Accept 406, a huge body 413, a wrong method 405."""
    json_type = {"content-type": "application/json"}
    assert (await client.post("/sample", content=b"{", headers=json_type)).status_code == 400
    assert (await client.post("/sample", content=b'{"truncation": NaN}', headers=json_type)).status_code in {400, 422}
    assert (await client.post("/sample", json={}, headers={"accept": "text/plain"})).status_code == 406
    assert (await client.post("/sample", content=b"x" * 50_000_000, headers=json_type)).status_code == 413
    assert (await client.get("/sample")).status_code == 405
    assert (await client.get("/nowhere")).headers["content-type"] == "application/problem+json"


async def test_unknown_field_names_the_nearest(client: httpx.AsyncClient) -> None:
    """A typo is answered with the field that was probably meant."""
    answer = await client.post("/sample", json={"truncaton": 0.5})
    assert answer.json()["errors"] == [{"pointer": "/truncaton", "detail": "unknown field; did you mean 'truncation'?"}]


async def test_deadline_and_request_id(client: httpx.AsyncClient) -> None:
    """A request id is echoed, and an impossible deadline is 504."""
    answer = await client.post("/sample", json={"n": 500, "timeout_ms": 1}, headers={"x-request-id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    assert answer.status_code == 504
