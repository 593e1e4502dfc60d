"""Other people's clients, unmodified: NVIDIA's tritonclient, the openai package, plain onnxruntime."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import tritonclient.http as triton
from PIL import Image

from tests.end_to_end.processes import running


@pytest.fixture(scope="module")
def address(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("interop"), bundle_folder, GANYMEDE_DEFAULT_MODEL="tiny") as (_, url):
        yield url


def pixels(address: str, **body: object) -> np.ndarray:
    answer = httpx.post(f"{address}/sample", json=body, headers={"accept": "application/x-npy"})
    return np.load(io.BytesIO(answer.content))


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient(address: str, binary: bool) -> None:
    """Health, list, metadata, and the very pixels that /sample gives, by latent and by seed, with labels."""
    client = triton.InferenceServerClient(address.removeprefix("http://"))
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny-labels")
    assert {row["name"] for row in client.get_model_repository_index()} == {"tiny", "tiny-labels", "tiny-lapgan"}
    metadata = client.get_model_metadata("tiny-labels")
    assert metadata["outputs"][0]["shape"] == [-1, 16, 16, 3]
    seeds = np.array([3, 9, 4], np.uint32)
    labels = np.array([2, 0, 2], np.int32)
    inputs = [triton.InferInput("seed", [3], "UINT32"), triton.InferInput("label", [3], "INT32")]
    for tensor, values in zip(inputs, (seeds, labels), strict=True):
        tensor.set_data_from_numpy(values, binary_data=binary)
    output = triton.InferRequestedOutput("pictures", binary_data=binary)
    found = client.infer("tiny-labels", inputs, outputs=[output]).as_numpy("pictures")
    for k in range(3):
        expected = pixels(address, model="tiny-labels", seed=int(seeds[k]), label=int(labels[k]))[0]
        assert np.array_equal(found[k], expected)
    latent = np.random.RandomState(5).standard_normal((1, 8)).astype(np.float32)
    tensor = triton.InferInput("latent", [1, 8], "FP32")
    tensor.set_data_from_numpy(latent, binary_data=binary)
    assert np.array_equal(client.infer("tiny", [tensor]).as_numpy("pictures"), pixels(address, model="tiny", seed=5))


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'{"inputs": 3}', b'{"inputs": [{"name": "seed", "datatype": "UINT32", "shape": [2], "data": [1]}]}',
     b'{"inputs": [{"name": "other", "datatype": "UINT32", "shape": [1], "data": [1]}]}',
     b'{"inputs": [{"name": "seed", "datatype": "UINT32", "shape": [99999999999], "data": [1]}]}'],
)  # fmt: skip
def test_bad_inference_requests(address: str, body: bytes) -> None:
    """Each is 400 with a sentence."""
    answer = httpx.post(f"{address}/v2/models/tiny/infer", content=body)
    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_openai_package(address: str) -> None:
    """Models, a seed, a label, an expression; what a GAN cannot do is a clear BadRequestError."""
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    assert {model.id for model in client.models.list()} == {"tiny", "tiny-labels", "tiny-lapgan"}
    made = client.images.generate(model="tiny", prompt="seed:7", n=2, response_format="b64_json")
    assert made.data is not None
    for datum, expected in zip(made.data, pixels(address, model="tiny", seed=7, n=2), strict=True):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(datum.b64_json or "")))), expected)
    assert client.images.generate(model="tiny-labels", prompt="blue", size="32x32").data
    linked = client.images.generate(model="tiny", prompt="seed:7", response_format="url")
    assert linked.data is not None
    assert httpx.get(linked.data[0].url or "").status_code == 200
    httpx.post(f"{address}/latents", json={"name": "one", "model": "tiny", "from": {"seed": 1}}).raise_for_status()
    assert client.images.generate(model="tiny", prompt="one + 0.5 * seed(2)").data
    refused: tuple[dict[str, Any], ...] = ({"size": "1000x1000"}, {"style": "vivid"}, {"quality": "hd"})
    for wrong in refused:
        with pytest.raises(openai.BadRequestError):
            client.images.generate(model="tiny", prompt="seed:7", **wrong)
