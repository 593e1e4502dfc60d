"""Every shipped discriminator answers over HTTP, and one picture's answer never depends on another's."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from models.bundle import read_bundle
from models.runtimes import open_runtime
from models.runtimes.base import from_pixels
from service.http.app import build_app
from service.operations.discriminator import answer_of
from service.settings import Settings
from tests.conftest import ROOT

EXPORTS = ROOT / "models" / "exports"
DISCRIMINATORS = sorted(
    path.parent.name
    for path in EXPORTS.glob("*/manifest.json")
    if read_bundle(path.parent).manifest.discriminator is not None
)
JSON, NPY = {"accept": "application/json"}, {"accept": "application/x-npy"}


def pictures(name: str, count: int) -> np.ndarray:
    """uint8 [n, h, w, c]: discs and noise of the bundle's size."""
    image = read_bundle(EXPORTS / name).manifest.image
    random = np.random.RandomState(0)
    drawn = random.randint(0, 60, (count, image.height, image.width, image.channels)).astype(np.uint8)
    for index, one in enumerate(drawn):
        one[4 + index % 5 : 20, 6 : 12 + index % 7] += 180
    return drawn


def as_file(pixels: np.ndarray) -> dict[str, tuple[str, bytes, str]]:
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, "PNG")
    return {"image": ("p.png", buffer.getvalue(), "image/png")}


def test_the_shipped_classifiers_are_there() -> None:
    """The semi-supervised bundles and the first GAN discriminator pictures."""
    assert {"mnist-ssl", "fashion-ssl", "mnist-gan"} <= set(DISCRIMINATORS)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_one_picture_is_judged_the_same_alone_and_in_a_batch(name: str) -> None:
    """Logits and features of the shipped graph, at every place of a batch of nine."""
    runtime = open_runtime(read_bundle(EXPORTS / name), "onnx")
    batch = from_pixels(pictures(name, 9))
    together = runtime.discriminate(batch)
    for index in range(9):
        alone = runtime.discriminate(batch[index : index + 1])
        assert np.allclose(alone.logits[0], together.logits[index], atol=1e-4)
        assert np.allclose(alone.features[0], together.features[index], atol=1e-4)
    runtime.close()


@asynccontextmanager
async def served(name: str, data: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The whole application over that one bundle."""
    app = build_app(Settings(bundles=(EXPORTS / name,), data_dir=data, threads=1, default_model=name))
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


@pytest.mark.parametrize("name", DISCRIMINATORS)
async def test_shipped_judges_answer_over_http(name: str, tmp_path: Path) -> None:
    """Eight requests at once share a batch, and each gets what its picture gets alone: label, p(real), feature vector."""
    discriminator = read_bundle(EXPORTS / name).manifest.discriminator
    assert discriminator is not None
    drawn = pictures(name, 8)
    runtime = open_runtime(read_bundle(EXPORTS / name), "onnx")
    async with served(name, tmp_path) as client:

        async def ask(path: str, index: int, headers: dict[str, str]) -> httpx.Response:
            return await client.post(path, files=as_file(drawn[index]), headers=headers)

        said = await asyncio.gather(*(ask("/classify", index, JSON) for index in range(8)))
        vectors = await asyncio.gather(*(ask("/features", index, NPY) for index in range(8)))
    for index, (answer, vector) in enumerate(zip(said, vectors, strict=True)):
        assert answer.status_code == vector.status_code == 200, answer.text
        expected = runtime.discriminate(from_pixels(drawn[index : index + 1]))
        wanted = answer_of(discriminator, expected.logits[0].astype(float))
        assert answer.json()["p_real"] == pytest.approx(wanted["p_real"], abs=1e-4)
        assert answer.json()["label"] == wanted["label"]
        found = np.load(io.BytesIO(vector.content))
        assert found.shape == (1, discriminator.feature_size)
        assert np.allclose(found[0], expected.features[0], atol=1e-3)
    runtime.close()
