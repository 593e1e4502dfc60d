"""A client that openapi-python-client generates from /openapi.json works, and has types worth having."""

import importlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.end_to_end.processes import running

CONFIG = ROOT / "docs" / "openapi-python-client.yml"
BIN = str(Path(sys.executable).parent)


@pytest.fixture(scope="module")
def address(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("generated"), bundle_folder, GANYMEDE_DEFAULT_MODEL="tiny") as (_, url):
        yield url


@pytest.fixture(scope="module")
def folder(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The generated package, importable; the generator must have nothing to complain of."""
    target = tmp_path_factory.mktemp("client") / "generated"
    words = ["generate", "--url", f"{address}/openapi.json", "--config", str(CONFIG), "--output-path", str(target)]
    done = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", *words, "--fail-on-warning"],
        env={**os.environ, "PATH": BIN + os.pathsep + os.environ["PATH"]},  # it formats what it writes with ruff
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(target))
    yield target
    sys.path.remove(str(target))


@pytest.fixture
def client(address: str, folder: Path) -> Any:
    """Asks for JSON, so that pictures come in envelopes."""
    module = importlib.import_module("ganymede_generated")
    return module.Client(base_url=address, headers={"Accept": "application/json"}, raise_on_unexpected_status=True)


def part(name: str) -> Any:
    return importlib.import_module(f"ganymede_generated.{name}")


def test_samples_through_it(client: Any) -> None:
    """Seeds in, a typed envelope out, and each picture by its address: the same pixels as the envelope's."""
    models = part("models")
    body = models.SampleRequest(model="tiny", n=3, seed=7, response_format=models.SampleRequestResponseFormat.B64_JSON)
    envelope = part("api.pictures.post_sample").sync(client=client, body=body)
    assert isinstance(envelope, models.Envelope)
    assert [picture.seed for picture in envelope.data] == [7, 8, 9]
    data = importlib.import_module("base64").b64decode(envelope.data[1].b64_json)
    file = part("api.pictures.get_image").sync("tiny", "8.png", client=client)
    assert np.array_equal(np.asarray(Image.open(file.payload)), np.asarray(Image.open(io.BytesIO(data))))


def test_a_refusal_is_a_typed_problem(client: Any) -> None:
    """The sentence and the pointer to the wrong field."""
    problem = part("api.pictures.post_sample").sync(client=client, body=part("models").SampleRequest(model="tiny", n=0))
    assert isinstance(problem, part("models").Problem)
    assert (problem.status, problem.errors[0].pointer) == (422, "/n")


def test_latents_are_saved_listed_and_removed(client: Any) -> None:
    """Typed records, by the same names as in the documents."""
    models = part("models")
    body = models.SaveRequest(name="generated", model="tiny", from_=models.Origin(seed=3))
    assert part("api.latents.post_latent").sync(client=client, body=body).seed == 3
    page = part("api.latents.list_latents").sync(client=client, q="gen")
    assert [latent.name for latent in page.data] == ["generated"]
    assert part("api.latents.delete_latent").sync_detailed("generated", client=client).status_code == 204


def test_a_picture_is_sharpened(client: Any) -> None:
    """A form with a file and fields, as the generator makes it."""
    types, buffer = part("types"), io.BytesIO()
    Image.new("RGB", (16, 16), (200, 90, 30)).save(buffer, "PNG")
    file = types.File(payload=io.BytesIO(buffer.getvalue()), file_name="a.png", mime_type="image/png")
    form = part("models").UpsampleForm(image=file, model="tiny-lapgan", seed=5)
    envelope = part("api.pictures.post_upsample").sync(client=client, body=form)
    assert (envelope.data[0].width, envelope.data[0].seed) == (32, 5)


def test_models_and_jobs_have_types(client: Any) -> None:
    """What is loaded, and a job's record."""
    models = part("models")
    page = part("api.models.list_models").sync(client=client)
    assert page.default == "tiny"
    assert {model.name: model.image.width for model in page.data}["tiny-lapgan"] == 32
    bulk = client.with_headers({"Prefer": "respond-async"})
    job = part("api.pictures.post_sample").sync(client=bulk, body=models.SampleRequest(model="tiny", seed=1))
    assert isinstance(job, models.Job)
    assert part("api.jobs.get_job").sync(job.id, client=client).op == "sample"
