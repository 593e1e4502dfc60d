"""POST /classify and POST /features: a picture goes in, what the discriminator says comes out."""

import io
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from models.bundle import Bundle, publish, staging_folder, write_manifest
from models.manifest import Discriminator
from models.runtimes import open_runtime
from models.runtimes.base import from_pixels
from service.operations.discriminator import answer_of
from tests.bundles import LABELS, TinyDiscriminator, TinyGenerator, export_graph, fields, make_tiny_pyramid
from tests.conftest import ClientFactory

JSON = {"accept": "application/json"}
NPY = {"accept": "application/x-npy"}


class TinyClassifier(nn.Module):
    """A picture to three logits and 8 features."""

    def __init__(self) -> None:
        super().__init__()
        self.discriminator, self.classes = TinyDiscriminator(), nn.Linear(8, 3)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        _, features = self.discriminator(image)
        return self.classes(features) * 3, features


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """An unconditional generator with a K+1 classifier, and beside it an upsampler without a discriminator."""
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("judges")
    stage = staging_folder(folder / "tiny-ssl")
    files = export_graph(TinyGenerator(), {"noise": torch.randn(2, 8)}, ["picture"], stage / "level-0")
    graph = export_graph(
        TinyClassifier(), {"image": torch.randn(2, 3, 16, 16)}, ["logits", "features"], stage / "discriminator"
    )
    level = {"previous": None, "output": [16, 16], "files": files}
    discriminator = {"kind": "classes", "feature_size": 8, "classes": LABELS, "files": graph}
    write_manifest(stage, fields("tiny-ssl", 16, [{"name": "z", "shape": [8]}], [level], discriminator=discriminator))
    make_tiny_pyramid(folder)
    return publish(stage, folder / "tiny-ssl")


def picture(seed: int, size: tuple[int, int] = (16, 16)) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (*size, 3)).astype(np.uint8)


def png(pixels: np.ndarray) -> dict[str, tuple[str, bytes, str]]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return {"image": ("p.png", buffer.getvalue(), "image/png")}


async def test_classify_gives_label_probabilities_and_p_real(client_with: ClientFactory, classifier: Bundle) -> None:
    """Probabilities are the softmax of the K logits, p(real) is Z / (Z + 1); checked with the graph itself."""
    pixels = picture(1)
    async with client_with(bundles=(classifier.folder.parent,), default_model="tiny-ssl") as client:
        answer = await client.post("/classify", files=png(pixels), headers=JSON)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    logits = open_runtime(classifier, "onnx").discriminate(from_pixels(pixels[None])).logits[0].astype(float)
    z = np.exp(logits)
    assert body["p_real"] == pytest.approx(z.sum() / (z.sum() + 1), abs=1e-6)
    assert body["probabilities"] == pytest.approx(dict(zip(LABELS, z / z.sum(), strict=True)), abs=1e-6)
    assert body["label"] == LABELS[int(logits.argmax())]


async def test_a_bundle_without_classes_says_how_real(client: httpx.AsyncClient) -> None:
    """An ordinary discriminator has no label to give, and says p(real)."""
    answer = (await client.post("/classify", files=png(picture(1)), data={"model": "tiny"}, headers=JSON)).json()
    assert (answer["kind"], answer["label"], answer["probabilities"]) == ("real", None, None)
    assert 0 < answer["p_real"] < 1


async def test_features_of_a_picture_do_not_depend_on_others(client: httpx.AsyncClient) -> None:
    """The same vector before, after and while other pictures are judged; as JSON and as an array."""
    alone = np.load(io.BytesIO((await client.post("/features", files=png(picture(7)), headers=NPY)).content))
    assert alone.shape == (1, 8)
    for seed in range(3):
        await client.post("/features", files=png(picture(seed)), headers=NPY)
    again = np.load(io.BytesIO((await client.post("/features", files=png(picture(7)), headers=NPY)).content))
    assert np.array_equal(alone, again)
    body = (await client.post("/features", files=png(picture(7)), headers=JSON)).json()
    assert body["size"] == 8
    assert np.allclose(body["features"], alone[0], atol=1e-6)


async def test_dark_on_light_can_be_swapped(client: httpx.AsyncClient) -> None:
    """`invert` judges the negative of the picture."""
    pixels = picture(5)
    swapped = await client.post("/features", files=png(pixels), data={"invert": "true"}, headers=NPY)
    negative = await client.post("/features", files=png(255 - pixels), headers=NPY)
    assert np.allclose(np.load(io.BytesIO(swapped.content)), np.load(io.BytesIO(negative.content)), atol=1e-5)


async def test_photographs_of_any_shape_are_taken(client: httpx.AsyncClient) -> None:
    """A wide picture as the raw body is fitted to the model's size."""
    wide = png(picture(2, (30, 71)))["image"][1]
    answer = await client.post("/classify?fit=pad", content=wide, headers={**JSON, "content-type": "image/png"})
    assert answer.status_code == 200, answer.text


async def test_what_cannot_be_judged_is_refused(client: httpx.AsyncClient) -> None:
    """No picture, not a picture, a label where none is taken, a bundle without a discriminator: one sentence each."""
    cases: list[tuple[dict[str, Any], int]] = [
        ({"data": {"fit": "crop"}, "files": {"other": ("a", b"x")}}, 422),
        ({"files": {"image": ("a.png", b"not a picture", "image/png")}}, 415),
        ({"files": png(picture(0)), "data": {"label": "red"}}, 422),
        ({"files": png(picture(0)), "data": {"model": "tiny-lapgan"}}, 422),
        ({"files": png(picture(0)), "data": {"model": "nobody"}}, 404),
    ]
    for request, status in cases:
        for path in ("/classify", "/features"):
            answer = await client.post(path, headers=JSON, **request)
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"] == "application/problem+json"


def test_p_real_survives_extreme_logits() -> None:
    """Logits of ten thousand are certainty, not a crash."""
    discriminator = Discriminator.model_validate(
        {"kind": "classes", "feature_size": 1, "classes": ("a", "b"), "files": {"onnx": "j.onnx"}}, strict=False
    )
    assert answer_of(discriminator, np.array([1e4, -1e4]))["p_real"] == 1.0
    assert answer_of(discriminator, np.array([-1e4, -1e4]))["p_real"] == 0.0
