"""The short way of POST /sample against the framework's own route, which any other spelling of the content type takes."""

import asyncio

import httpx
import pytest

from tests.conftest import ClientFactory

SHORT = {"content-type": "application/json"}
LONG = {"content-type": "application/json; charset=utf-8"}
VARYING = {"server-timing", "x-request-id", "date"}

BODIES = [
    b'{"seed": 7}',
    b'{"model": "tiny-labels", "seed": 7, "n": 4, "label": "green", "truncation": 0.5}',
    b'{"seed": 1, "scale": 4, "metadata": "none"}',
    b'{"model": "tiny-lapgan", "seed": 1, "scale": 16, "metadata": "minimal"}',
    b'{"seed": 5, "truncation": 0.5, "timeout_ms": 5000}',
    b"{}[",
    b"",
    b"[]",
    b"null",
    b'{"seed": -1}',
    b'{"seed": "7"}',
    b'{"n": 0, "sede": 3}',
    b'{"model": "nobody"}',
    b'{"seed": 1, "truncation": NaN}',
    b'{"seed": 1, "label": "red"}',
    b'{"seed": 1, "seeds": [2]}',
    b"\xff\xfe",
]


@pytest.mark.parametrize("body", BODIES)
async def test_both_ways_answer_the_same(client: httpx.AsyncClient, body: bytes) -> None:
    """Status, headers and bytes are equal for good requests and for every kind of bad one."""
    short, long = [await client.post("/sample", content=body, headers=headers) for headers in (SHORT, LONG)]
    assert short.status_code == long.status_code
    assert short.content == long.content
    kept = [{k: v for k, v in answer.headers.items() if k not in VARYING} for answer in (short, long)]
    assert kept[0] == kept[1]


async def test_guards_stand_before_the_short_way(client: httpx.AsyncClient) -> None:
    """Security headers, the request id and the route's name in the metrics are there on the short way too."""
    answer = await client.post("/sample", content=b'{"seed": 7}', headers={**SHORT, "x-request-id": "abc"})
    assert answer.headers["x-request-id"] == "abc"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert 'route="/sample",status="200"' in (await client.get("/metrics")).text


@pytest.mark.parametrize(
    "headers",
    [{"accept": "application/json"}, {"accept": "image/webp"}, {"accept": "text/plain"}, {"x-deadline-ms": "nonsense"}],
)
async def test_wishes_in_headers_are_heard_on_the_short_way(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """A representation, a refusal or a deadline asked for by a header is given for a single picture, too."""
    body = b'{"seed": 7}'
    short, long = [await client.post("/sample", content=body, headers={**way, **headers}) for way in (SHORT, LONG)]
    assert (short.status_code, short.headers["content-type"]) == (long.status_code, long.headers["content-type"])


async def test_a_deadline_ends_a_single_picture(client_with: ClientFactory) -> None:
    """A picture that the device does not finish in the server's own limit is 504, not an endless wait."""
    async with client_with(timeout_s=0.3) as client:
        engine = client.app.state.ganymede.engine

        async def never(*_: object, **__: object) -> None:
            """Takes the request and does not come back in time."""
            await asyncio.sleep(60)

        engine.pixels = never
        answer = await client.post("/sample", content=b'{"seed": 7}', headers=SHORT)
        assert answer.status_code == 504
