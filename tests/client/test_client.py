"""The Python client against the whole application: typed results, errors, retries, sync and async alike."""

import re
from pathlib import Path

import httpx
import numpy as np
import pytest

from ganymede_client import AsyncClient, Client, ServerError, TransportError
from ganymede_client import aio as async_module
from ganymede_client import client as sync_module
from tests.conftest import ClientFactory


async def through(client: httpx.AsyncClient) -> AsyncClient:
    return AsyncClient("http://test", transport=httpx.ASGITransport(app=client.app))  # type: ignore[attr-defined]


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
        assert (await ganymede.models())["data"]


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

    with Client("http://test", transport=httpx.MockTransport(answer)) as ganymede:
        assert ganymede.models() == {"data": []}
        assert seen == ["/models"] * 3
        with pytest.raises(TransportError):
            ganymede.save_latent("a", {"seed": 1})
        assert seen.count("/latents") == 1


def test_the_two_clients_are_one_text() -> None:
    """The sync client is the async one without its waiting: a method added to one is added to both."""
    text = Path(async_module.__file__).read_text()
    swaps = [
        ("AsyncIterator", "Iterator"),
        ("AsyncClient", "Client"),
        ("AsyncJob", "Job"),
        ("AsyncBaseTransport", "BaseTransport"),
    ]
    swaps += [
        ("__aenter__", "__enter__"),
        ("__aexit__", "__exit__"),
        ("aclose", "close"),
        ("aiter_lines", "iter_lines"),
    ]
    swaps += [("await asyncio.sleep", "time.sleep"), ("import asyncio\n", ""), ("async ", ""), ("await ", "")]
    for old, new in swaps:
        text = text.replace(old, new)
    squeeze = re.compile(r"[\s()]+")  # line breaks may fall differently
    docstring = re.compile(r'^""".*?"""', re.DOTALL)
    expected = docstring.sub("", Path(sync_module.__file__).read_text())
    assert squeeze.sub("", docstring.sub("", text)) == squeeze.sub("", expected)
