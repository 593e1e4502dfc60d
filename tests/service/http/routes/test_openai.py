"""OpenAI's Images API: which prompts are which pictures, and what a GAN cannot do."""

import base64
import io
import time
from typing import Any

import httpx
import numpy as np
from PIL import Image

from save_files import read_recipe
from tests.conftest import ClientFactory


async def asked(client: httpx.AsyncClient, prompt: str, **body: Any) -> httpx.Response:
    return await client.post("/v1/images/generations", json={"prompt": prompt, **body})


async def made(client: httpx.AsyncClient, prompt: str, **body: Any) -> list[dict[str, Any]]:
    answer = await asked(client, prompt, **body)
    assert answer.status_code == 200, answer.text
    assert abs(time.time() - answer.json()["created"]) < 100
    return list(answer.json()["data"])


def pixels(datum: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(datum["b64_json"]))))


async def sampled(client: httpx.AsyncClient, path: str = "/sample", **body: Any) -> np.ndarray:
    answer = await client.post(path, json=body, headers={"accept": "application/x-npy"})
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


async def test_a_prompt_is_a_seed_a_label_or_an_expression(client: httpx.AsyncClient) -> None:
    """The very pictures that the other endpoints make of them; the next seeds for more than one."""
    found = await made(client, " seed: 7 ", n=2)
    assert [datum["revised_prompt"] for datum in found] == ["seed:7", "seed:8"]
    np.testing.assert_array_equal(list(map(pixels, found)), await sampled(client, seed=7, n=2))
    assert len(await made(client, "seed:0")) == len(await made(client, "seed:4294967295")) == 1
    named = await made(client, "blue", model="tiny-labels", n=2)
    recipes = [read_recipe(base64.b64decode(datum["b64_json"])) for datum in named]
    assert [recipe["label"] for recipe in recipes] == ["blue", "blue"]  # type: ignore[index]
    for prompt in ("seed:7", "seed(7)"):
        (other,) = await made(client, prompt, model="tiny-labels")
        assert read_recipe(base64.b64decode(other["b64_json"]))["model"].startswith("tiny-labels@")  # type: ignore[index]
    (sum_of_two,) = await made(client, "seed(1) + 0.5 * seed(2)", size="32x32")
    assert sum_of_two["revised_prompt"] is None
    expected = await sampled(client, "/arithmetic", expression="seed(1) + 0.5 * seed(2)", scale=2)
    np.testing.assert_array_equal(pixels(sum_of_two), expected[0])


async def test_sizes_and_formats(client: httpx.AsyncClient) -> None:
    """auto, or the bundle's own size times a whole number; any format of ours, PNG unasked."""
    for size, side in ((None, 16), ("auto", 16), ("16x16", 16), ("256x256", 256)):
        assert pixels((await made(client, "seed:7", size=size))[0]).shape == (side, side, 3)
    (label,) = await made(client, "red", model="tiny-labels", size="48x48")
    assert pixels(label).shape == (48, 48, 3)
    for kind in ("webp", "jpeg", None):
        data = base64.b64decode((await made(client, "seed:7", output_format=kind))[0]["b64_json"])
        assert Image.open(io.BytesIO(data)).format == (kind or "png").upper()


async def test_addresses_lead_back_to_this_server(client_with: ClientFactory) -> None:
    """Where the client reached it, or below the public address; a sum has no address and comes along."""
    for public, base in ((None, "http://localhost"), ("https://pub.example/g", "https://pub.example/g")):
        async with client_with(public_url=public) as client:
            reference = (await client.get("/models/tiny")).json()["reference"]
            (datum,) = await made(client, "seed:7", response_format="url", output_format="webp")
            assert datum == {"url": f"{base}/images/{reference}/7.webp", "revised_prompt": "seed:7"}
            (datum,) = await made(client, "seed(1)", response_format="url")
            assert datum.keys() == {"b64_json", "revised_prompt"}


HARMLESS = [{"quality": q} for q in ("auto", "standard", None)]
HARMLESS += [
    {"background": "auto"},
    {"background": "opaque"},
    {"moderation": "auto"},
    {"moderation": "low"},
    {"x": None},
]
SIZES = "size must be auto or 16x16 times a whole number up to 16"
REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("seed:7", {"quality": "hd"}, "quality", "quality is not supported by a GAN server"),
    ("seed:7", {"quality": 5}, "quality", "quality is not supported by a GAN server"),
    ("seed:7", {"background": "low"}, "background", "background is not supported by a GAN server"),
    ("seed:7", {"style": "auto"}, "style", "style is not supported by a GAN server"),
    ("seed:", {}, "prompt", "after seed: comes a number from 0 to 4294967295"),
    ("seed:-1", {}, "prompt", "after seed: comes a number from 0 to 4294967295"),
    ("seed:\u0663", {}, "prompt", "after seed: comes a number from 0 to 4294967295"),
    ("seed:4294967296", {}, "prompt", "after seed: comes a number from 0 to 4294967295"),
    ("seed(1)", {"n": 2}, "n", "an expression has one result; ask for n=1"),
    ("seed(1)" + "+seed(1)" * 300, {}, "prompt", "the expression is too long"),
    *(("seed:7", {"size": size}, "size", SIZES) for size in ("272x272", "16x32", "8x8", "large")),
]


async def test_what_a_gan_cannot_do_is_refused(client: httpx.AsyncClient) -> None:
    """With the parameter, in OpenAI's words and in ours; what means nothing here may be said."""
    for harmless in HARMLESS:
        assert (await asked(client, "seed:7", **harmless)).status_code == 200, harmless
    for prompt, body, parameter, sentence in REFUSED:
        answer = await asked(client, prompt, **body)
        problem = answer.json()
        assert (answer.status_code, problem["detail"]) == (400, sentence), (prompt, body)
        assert problem["errors"] == [{"pointer": f"/{parameter}", "detail": sentence}]
        expected = {"message": sentence, "type": "invalid_request_error", "param": parameter, "code": "unsupported"}
        assert problem["error"] == expected


async def test_bundles_are_listed_as_models(client: httpx.AsyncClient) -> None:
    """One by one, too."""
    found = (await client.get("/v1/models")).json()
    assert found["object"] == "list"
    assert {"id": "tiny", "object": "model", "created": 0, "owned_by": "ganymede"} in found["data"]
    assert (await client.get("/v1/models/tiny")).json()["id"] == "tiny"
    assert (await client.get("/v1/models/nobody")).status_code == 404
