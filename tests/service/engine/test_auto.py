"""`GANYMEDE_RUNTIME=auto` behind the whole service: it says who computed, and keeps one seed one picture."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.runtimes.candidates import CANDIDATES
from service.operations.state import resolve_device
from service.settings import Settings
from tests.conftest import ClientFactory

NPY = {"accept": "application/x-npy"}


@pytest.fixture(autouse=True)
def _whoever_draws_right_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.runtimes.trial.GAIN", 1000.0)
    monkeypatch.setattr("models.runtimes.trial.NOT_SLOWER", 1000.0)
    monkeypatch.setattr("models.runtimes.auto.BUDGET_S", 1000.0)


async def test_every_answer_says_who_computed(client_with: ClientFactory, tmp_path: Path) -> None:
    """Header, envelope, list and recipe; the same bytes alone, in company and after a restart."""
    async with client_with(runtime="auto") as client:
        provider = (await client.get("/models/tiny-lapgan")).json()["provider"]
        body = {"model": "tiny-lapgan", "seed": 5}
        first = await client.post("/sample", json=body)
        assert first.headers["ganymede-provider"] == provider
        assert (await client.post("/sample", json=body, headers={"accept": "application/json"})).json()[
            "provider"
        ] == provider
        many = np.load(
            io.BytesIO((await client.post("/sample", json={**body, "seed": 0, "n": 40}, headers=NPY)).content)
        )
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(first.content))), many[5])
    remembered = json.loads((tmp_path / "data" / "runtimes.json").read_text())
    assert sum(key.startswith("choice-") for key in remembered["entries"]) == 3
    async with client_with(runtime="auto") as client:
        assert (await client.post("/sample", json=body)).content == first.content
        assert json.loads((tmp_path / "data" / "runtimes.json").read_text()) == remembered


async def test_a_recipe_names_a_provider_that_is_not_the_reference(client_with: ClientFactory) -> None:
    """A picture by ONNX Runtime on the CPU says nothing, as ever; one by OpenVINO does, and can be made again."""
    async with client_with() as client:
        plain = await client.post("/sample", json={"model": "tiny", "seed": 5})
    assert "provider" not in recipe_in(plain.content)
    pytest.importorskip("openvino")
    async with client_with(runtime="openvino") as client:
        made = await client.post("/sample", json={"model": "tiny", "seed": 5})
        other = await client.post("/sample", json={"model": "tiny", "seed": 5, "output_format": "png"})
        assert recipe_in(made.content)["provider"] == made.headers["ganymede-provider"] == "OpenVINO-f32"
        assert other.content == made.content
    pixels = [np.asarray(Image.open(io.BytesIO(answer.content))).astype(int) for answer in (plain, made)]
    assert np.abs(pixels[0] - pixels[1]).max() <= 1


def recipe_in(png: bytes) -> dict[str, object]:
    return json.loads(Image.open(io.BytesIO(png)).info["ganymede"])


async def test_without_openvino_auto_is_onnx_runtime(
    client_with: ClientFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is refused, and the provider is the usual one."""
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)  # an import that fails
    monkeypatch.setattr("models.runtimes.openvino_runtime._core", lambda: __import__("openvino"))
    assert len(CANDIDATES) == 2
    async with client_with(runtime="auto") as client:
        page = (await client.get("/models")).json()
        assert {model["provider"] for model in page["data"]} == {"CPUExecutionProvider"}
        assert page["refused"] == []


def test_auto_needs_the_reference() -> None:
    """`auto` is a way of `onnx`: device and missing provider are found out the same way."""
    assert resolve_device(Settings(runtime="auto", provider="cpu")) == "cpu"
