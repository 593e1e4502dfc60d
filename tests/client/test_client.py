"""The Python client against the whole application: typed results, errors, retries, sync and async alike."""

import gc
import json
import tracemalloc
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import BaseModel

from ganymede_client import AsyncClient, Client, Job, ServerError, TransportError, calls, options
from ganymede_client.retry import wait_s
from scripts.sync_client import CLIENT, written
from service.http.app import build_app
from service.operations.arithmetic import ArithmeticRequest
from service.operations.discriminator import DiscriminatorRequest
from service.operations.interpolate import InterpolateRequest
from service.operations.latents import SaveRequest
from service.operations.project import ProjectRequest
from service.operations.redo import RedoRequest
from service.operations.sample import SampleRequest
from service.operations.upsample import UpsampleRequest
from service.settings import Settings
from tests.conftest import AppClient, ClientFactory


async def through(client: AppClient) -> AsyncClient:
    return AsyncClient("http://localhost", transport=httpx.ASGITransport(app=client.app))


async def test_pictures_are_at_hand(client_with: ClientFactory) -> None:
    """Seeds, arrays, sheets and the recipe of what was asked for."""
    async with client_with() as http, await through(http) as ganymede:
        pictures = await ganymede.sample(model="tiny", n=4, seed=7)
        assert pictures.seeds == [7, 8, 9, 10]
        assert pictures.model.startswith("tiny@")
        assert pictures.sheet.size == (34, 34)
        again = await ganymede.sample(model="tiny", seed=9)
        assert np.array_equal(again[0].array, pictures[2].array)
        assert "image/png" in pictures._repr_mimebundle_()
        assert (await ganymede.image("tiny", 9))[:4] == b"\x89PNG"
        row = next(row for row in (await ganymede.models())["data"] if row["name"] == "tiny")
        assert (await ganymede.set_default("tiny", row["digest"]))["is_default"]


async def test_latents_through_the_client(client_with: ClientFactory) -> None:
    """Saved, listed, combined, renamed, exported, imported, removed."""
    async with client_with() as http, await through(http) as ganymede:
        for k in (1, 2):
            await ganymede.save_latent(f"face_{k}", {"seed": k}, model="tiny", tags=["face"])
        assert {row["name"] for row in (await ganymede.latents(tag="face"))["data"]} == {"face_1", "face_2"}
        combined = await ganymede.arithmetic("mean(face_1, face_2)", save_as="both")
        frames = await ganymede.interpolate(["face_1", "both"], frames=3)
        assert (len(combined), len(frames)) == (1, 3)
        await ganymede.change_latent("both", new_name="mixed")
        archive = await ganymede.export_latents()
        await ganymede.delete_latent("mixed")
        await ganymede.import_latents(archive, "skip")
        assert (await ganymede.latent("mixed"))["name"] == "mixed"


async def test_problems_are_typed(client_with: ClientFactory) -> None:
    """A refusal carries status, sentence, pointers and the request id."""
    async with client_with() as http, await through(http) as ganymede:
        with pytest.raises(ServerError) as caught:
            await ganymede.sample(model="tiny", n=0)
        assert caught.value.status == 422
        assert caught.value.errors[0]["pointer"] == "/n"
        assert caught.value.request_id


def test_retries_follow_retry_after() -> None:
    """429 and a lost connection are tried again; a refusal is not; saving is not repeated when it may have been done."""
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        if request.url.path == "/models" and len(seen) < 3:
            return httpx.Response(429, headers={"retry-after": "0"}, json={"title": "busy"})
        if request.url.path == "/latents":
            raise httpx.ReadError("gone", request=request)
        return httpx.Response(200, json={"data": []})

    with Client("http://localhost", transport=httpx.MockTransport(answer)) as ganymede:
        assert ganymede.models() == {"data": []}
        assert seen == ["/models"] * 3
        with pytest.raises(TransportError):
            ganymede.save_latent("a", {"seed": 1})
        assert seen.count("/latents") == 1


def test_the_sync_client_is_the_async_one() -> None:
    """client.py is what scripts/sync_client.py writes from aio.py: a method added to one is in both."""
    assert (CLIENT / "client.py").read_text() == written()


def test_every_endpoint_has_a_method() -> None:
    """Of our own API; the protocols of others have clients of their own."""
    said = "\n".join(filter(None, (f.__doc__ for kind in (Client, Job) for f in vars(kind).values())))
    for path, item in build_app(Settings()).openapi()["paths"].items():
        for method in item:
            assert path.startswith(("/v1/", "/v2")) or f"{method.upper()} {path}" in said, f"{method} {path}"


@pytest.mark.parametrize(
    ("typed", "request_type", "given"),
    [(options.Sample, SampleRequest, set()), (options.Arithmetic, ArithmeticRequest, {"expression"}),
     (options.Interpolate, InterpolateRequest, {"stops"}), (options.Upsample, UpsampleRequest, set()),
     (options.Project, ProjectRequest, set()), (options.Classify, DiscriminatorRequest, set()),
     (options.Redo, RedoRequest, {"recipe", "image"}),
     (options.Save, SaveRequest, {"name", "source"})],
)  # fmt: skip
def test_the_types_are_the_servers(typed: type, request_type: type[BaseModel], given: set[str]) -> None:
    """An editor offers the fields that the server takes, and no other."""
    ours = typed.__annotations__.keys() | given
    assert ours == request_type.model_fields.keys() - {"response_format"}


async def test_a_request_that_became_a_job_is_waited_for(client_with: ClientFactory) -> None:
    """More pictures than are answered at once: the server makes a job of them, the caller still gets pictures."""
    async with client_with(async_pictures=3) as http, await through(http) as ganymede:
        assert (await ganymede.sample(model="tiny", n=5, seed=7)).seeds == [7, 8, 9, 10, 11]


def busy_at_first(seen: list[dict[str, Any]]) -> httpx.MockTransport:
    """Answers 429 and 503 with Retry-After more often than a plain call is tried, then pictures."""

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        seen.append(body)
        if len(seen) <= 8:
            return httpx.Response((429, 503)[len(seen) % 2], headers={"retry-after": "0"}, json={"title": "busy"})
        rows = [{"seed": body["seed"] + k, "b64_json": "AAAA"} for k in range(body["n"])]
        return httpx.Response(200, json={"model": "tiny@0", "data": rows})

    return httpx.MockTransport(answer)


async def test_any_number_of_samples_is_streamed() -> None:
    """Sync and async alike: parts of the size asked for, a full server is asked until it is not, and none is asked ahead."""
    seen: list[dict[str, Any]] = []
    with Client("http://test", transport=busy_at_first(seen)) as ganymede:
        stream = ganymede.iter_samples(10, seed=2**32 - 3, part=4, model="tiny", label=None)
        assert next(stream).seed == 2**32 - 3
        assert len(seen) == 9
        assert len(list(stream)) == 9
    assert [(body["seed"], body["n"]) for body in seen[8:]] == [(2**32 - 3, 4), (1, 4), (5, 2)]
    seen.clear()
    async with AsyncClient("http://test", transport=busy_at_first(seen)) as ganymede_async:
        seeds = [picture.seed async for picture in ganymede_async.iter_samples(10, seed=0, part=4)]
    assert seeds == list(range(10))


def test_what_the_server_asks_for_is_waited() -> None:
    """Retry-After is not cut short by our own clock."""
    assert wait_s(0, httpx.Response(429, headers={"retry-after": "45"})) == 45
    assert wait_s(2000, httpx.Response(503)) <= 30


async def test_answers_are_forgotten() -> None:
    """Thousands of parts need the memory of one: an answer does not wait for the garbage collector."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=httpx.ByteStream(bytes(1_000_000))))
    part = calls.encoded(calls.sample(n=1, seed=1), "application/zip")
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        with Client("http://test", transport=transport) as ganymede:
            assert [len(ganymede.run(part)) for _ in range(10)] == [1_000_000] * 10
        async with AsyncClient("http://test", transport=transport) as ganymede_async:
            assert [len(await ganymede_async.run(part)) for _ in range(10)] == [1_000_000] * 10
        assert tracemalloc.get_traced_memory()[1] < 4_500_000
    finally:
        tracemalloc.stop()
        gc.enable()
