"""The Open Inference Protocol: rows become pictures in their order; what is no request is refused with a sentence."""

import io
import json
from typing import Any

import httpx
import numpy as np
import pytest

SEEDS = {"name": "seed", "datatype": "UINT32", "shape": [3], "data": [3, 9, 4]}
LATENT = {"name": "latent", "datatype": "FP32", "shape": [1, 8], "data": list(range(8))}
HEADER_LENGTH = "inference-header-content-length"


def label(*data: float, **other: Any) -> dict[str, Any]:
    return {"name": "label", "datatype": "INT32", "shape": [len(data)], "data": list(data), **other}


async def infer(client: httpx.AsyncClient, *inputs: Any, to: str = "tiny", **body: Any) -> httpx.Response:
    return await client.post(f"/v2/models/{to}/infer", json={"inputs": list(inputs), **body})


async def sampled(client: httpx.AsyncClient, **body: Any) -> np.ndarray:
    answer = await client.post("/sample", json=body, headers={"accept": "application/x-npy"})
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


def pixels(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    (output,) = answer.json()["outputs"]
    assert (output["name"], output["datatype"]) == ("pictures", "UINT8")
    return np.array(output["data"], np.uint8).reshape(output["shape"])


async def test_rows_become_pictures_in_their_order(client: httpx.AsyncClient) -> None:
    """Whatever their labels; latents by their numbers. The answer says of which version, and the request's own id."""
    answer = await infer(client, SEEDS, label(2, 0, 2), to="tiny-labels", id="mine")
    pairs = zip([3, 9, 4], [2, 0, 2], strict=True)
    expected = [(await sampled(client, model="tiny-labels", seed=seed, label=kind))[0] for seed, kind in pairs]
    np.testing.assert_array_equal(pixels(answer), expected)
    body = answer.json()
    reference = f"tiny-labels@{body['model_version']}"
    assert (body["id"], body["model_name"]) == ("mine", "tiny-labels")
    assert (answer.headers["ganymede-model"], answer.headers["content-type"]) == (reference, "application/json")
    assert answer.headers["ganymede-provider"]
    found = await infer(client, LATENT, id=7)
    values = [{"values": [float(k) for k in range(8)]}]
    np.testing.assert_array_equal(pixels(found), await sampled(client, latents=values))
    assert "id" not in found.json(), "an id is a text"
    named = await infer(client, LATENT, label(1), to="tiny-labels")
    green = await sampled(client, model="tiny-labels", latents=values, label="green")
    np.testing.assert_array_equal(pixels(named), green)
    plain = await infer(client, SEEDS)
    np.testing.assert_array_equal(pixels(plain), await sampled(client, seeds=[3, 9, 4]))


BINARY: list[tuple[dict[str, Any], bool]] = [
    ({}, False),
    ({"parameters": {"binary_data_output": True}}, True),
    ({"outputs": [{"name": "pictures"}]}, False),
    ({"outputs": [{"name": "pictures"}], "parameters": {"binary_data_output": True}}, True),
    ({"outputs": [{"name": "pictures", "parameters": {"binary_data": True}}]}, True),
    (
        {
            "outputs": [{"name": "pictures", "parameters": {"binary_data": False}}],
            "parameters": {"binary_data_output": True},
        },
        False,
    ),
]


async def test_the_output_is_binary_where_that_is_asked_for(client: httpx.AsyncClient) -> None:
    """By the output's own parameter, else by the request's; the JSON before it says how long it is."""
    plain = pixels(await infer(client, SEEDS))
    for body, binary in BINARY:
        answer = await infer(client, SEEDS, **body)
        assert (HEADER_LENGTH in answer.headers) is binary, body
        if binary:
            length = int(answer.headers[HEADER_LENGTH])
            (output,) = json.loads(answer.content[:length])["outputs"]
            assert output["parameters"] == {"binary_data_size": plain.size}
            assert answer.content[length:] == plain.tobytes()
            assert answer.headers["content-type"] == "application/octet-stream"


FLOAT = {"datatype": "FP32"}
REFUSED: list[tuple[list[Any], dict[str, Any], int, str]] = [
    ([], {}, 400, "give one of latent and seed"),
    ([SEEDS, LATENT], {}, 400, "give one of latent and seed"),
    ([SEEDS, {**SEEDS, "name": "other"}], {}, 400, "unknown input 'other'"),
    ([SEEDS, label(0, 0)], {}, 400, "label must be integers of shape [3]"),
    ([SEEDS, label(0, 0, 0, **FLOAT)], {}, 400, "label must be integers of shape [3]"),
    ([SEEDS, label(0, 0, 0, shape=[3, 1])], {}, 400, "label must be integers of shape [3]"),
    ([{**SEEDS, "shape": [3, 1]}], {}, 400, "latent is [n, size] and seed is [n], n at least 1"),
    ([{**LATENT, "shape": [8]}], {}, 400, "latent is [n, size] and seed is [n], n at least 1"),
    ([{**SEEDS, "shape": [0], "data": []}], {}, 400, "latent is [n, size] and seed is [n], n at least 1"),
    ([{**LATENT, "shape": [2, 4]}], {}, 422, "the latent has 4 values, the model takes 8"),
    ([SEEDS], {"outputs": [{"name": "x" * 50}]}, 400, f"there is no output '{'x' * 40}'; there is 'pictures'"),
    ([SEEDS], {"outputs": [{}]}, 400, "there is no output 'None'; there is 'pictures'"),
    ([SEEDS], {"outputs": 5}, 400, "outputs must be a list of objects"),
    ([SEEDS], {"outputs": [5]}, 400, "outputs must be a list of objects"),
    ([SEEDS], {"outputs": [{"name": "pictures", "parameters": [1]}]}, 400, "parameters must be an object"),
    ([SEEDS], {"parameters": [1]}, 400, "parameters must be an object"),
    ([SEEDS], {"parameters": {"precision": "half"}}, 422, "parameters.precision must be exact or fast"),
    ([SEEDS], {"parameters": {"precision": [1]}}, 422, "parameters.precision must be exact or fast"),
]


async def test_what_is_no_request_is_refused_with_a_sentence(client: httpx.AsyncClient) -> None:
    """Whatever stands where something else was meant."""
    for inputs, body, status, sentence in REFUSED:
        answer = await infer(client, *inputs, **body)
        assert (answer.status_code, answer.json()["detail"]) == (status, sentence), (body, answer.text)
    wrong = await infer(client, SEEDS, parameters={"precision": "half"})
    assert wrong.json()["errors"][0]["pointer"] == "/parameters/precision"
    good = await infer(client, SEEDS, parameters={"precision": "exact"}, outputs=None)
    assert "ganymede-precision" not in good.headers
    np.testing.assert_array_equal(pixels(good), pixels(await infer(client, SEEDS, parameters=None)))


@pytest.mark.parametrize("path", ["", "/versions/{digest}"])
async def test_a_bundle_says_what_goes_in_and_what_comes_out(client: httpx.AsyncClient, path: str) -> None:
    """Labels where it has them; a version as well as a name."""
    digest = (await client.get("/models/tiny-labels")).json()["digest"]
    at = "/v2/models/tiny-labels" + path.format(digest=digest)
    body = (await client.get(at)).json()
    assert [row["name"] for row in body["inputs"]] == ["latent", "seed", "label"]
    assert (body["inputs"][0]["shape"], body["outputs"][0]["shape"]) == ([-1, 8], [-1, 16, 16, 3])
    assert body["versions"] == [digest]
    assert (await client.get(f"{at}/ready")).json()["ready"] is True
    unlabelled = (await client.get("/v2/models/tiny")).json()
    assert [row["name"] for row in unlabelled["inputs"]] == ["latent", "seed"]
    assert (await client.get("/v2/models/nobody/ready")).status_code == 404
