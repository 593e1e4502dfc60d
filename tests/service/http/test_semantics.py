"""Expect, Range, If-None-Match, HEAD: what RFC 9110 says of them, by what a client sees."""

import asyncio
import time

import httpx
import pytest

from service.http.validators import is_held
from tests.conftest import ClientFactory
from tests.service.wires import Open, Wire

BODY = b'{"seed": 1}'
PICTURE = "/images/tiny/7.png"


async def told(wire: Wire, sign: bytes = b"\r\n\r\n") -> bytes:
    """What has arrived once `sign` is in it."""
    async with asyncio.timeout(10):
        while sign not in wire.data:
            await asyncio.sleep(0.001)
    return wire.data


@pytest.mark.parametrize("path", ["/sample", "/arithmetic"])
async def test_who_waits_for_100_gets_it_and_then_the_answer(opened: Open, path: str) -> None:
    """Section 10.1.1: also where the request would be answered below ASGI."""
    wire = Wire(await opened())
    body = BODY if path == "/sample" else b'{"expression": "seed(1)"}'
    whole = wire.say(body, "Expect: 100-continue", path=path)
    wire.tell(whole[: -len(body)])
    assert await told(wire) == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.data = b""
    wire.tell(body)
    assert (await wire.hear())[0] == 200


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Host: localhost", "Content-Length: 99999999"], b"413"),
        (["Host: evil.example", "Content-Length: 11"], b"421"),
        (["Host: localhost", "Content-Length: 11", "Content-Encoding: br"], b"415"),
        (["Host: localhost", "Content-Length: 11", "Origin: null"], b"403"),
    ],
)
async def test_who_is_refused_need_not_send(opened: Open, lines: list[str], status: bytes) -> None:
    """The final status comes at once, without a 100 before it, and the connection ends."""
    wire = Wire(await opened())
    head = ["POST /sample HTTP/1.1", *lines, "Content-Type: application/json", "Expect: 100-continue", "", ""]
    wire.tell("\r\n".join(head).encode())
    assert (await told(wire)).startswith(b"HTTP/1.1 " + status)
    assert wire.closed


async def test_http_1_0_gets_no_100(opened: Open) -> None:
    """It would take it for the answer."""
    wire = Wire(await opened())
    assert (await wire.ask(BODY, "Expect: 100-continue", version="1.0"))[0] == 200


async def test_an_unknown_expectation_is_passed_over(opened: Open) -> None:
    """Section 10.1.1 allows 417; no client is known to send any."""
    assert (await Wire(await opened()).ask(BODY, "Expect: miracles"))[0] == 200


@pytest.mark.parametrize("wish", ["bytes=0-9", "bytes=99999999-", "bytes=-1", "nonsense"])
async def test_a_range_of_a_picture_is_the_whole(client: httpx.AsyncClient, wish: str) -> None:
    """Section 14.2: a server may pass it over; it says so, and never 206 or 416 of something that is made anew."""
    whole, part = await client.get(PICTURE), await client.get(PICTURE, headers={"range": wish})
    assert (part.status_code, part.content) == (200, whole.content)
    assert part.headers["accept-ranges"] == "none"
    assert "content-range" not in part.headers


async def test_a_picture_that_is_held_is_304_without_being_made(client: httpx.AsyncClient) -> None:
    """Section 13.1.2: in a list, weak, or any; with the headers a cache needs. A date says nothing here (13.1.3)."""
    first = await client.get(PICTURE)
    tag = first.headers["etag"]
    for held in (tag, f"W/{tag}", f'"other", {tag}', f' "a,b" ,W/{tag} ', "*"):
        again = await client.get(PICTURE, headers={"if-none-match": held})
        assert (again.status_code, again.content) == (304, b""), held
        assert (again.headers["etag"], again.headers["cache-control"]) == (tag, first.headers["cache-control"])
    for other in ('"other"', tag.strip('"'), tag.upper(), "", f"x{tag}", '"*"'):
        assert (await client.get(PICTURE, headers={"if-none-match": other})).status_code == 200, other
    later = {"if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    assert (await client.get(PICTURE, headers=later)).status_code == 200
    assert (await client.get(PICTURE, headers={**later, "if-none-match": tag})).status_code == 304
    assert (await client.get(PICTURE, headers={**later, "if-none-match": '"other"'})).status_code == 200


async def test_other_addresses_have_other_tags(client: httpx.AsyncClient) -> None:
    """Whatever changes the bytes changes the tag."""
    addresses = [
        PICTURE,
        "/images/tiny/8.png",
        "/images/tiny/7.webp",
        PICTURE + "?scale=2",
        PICTURE + "?truncation=0.5",
    ]
    addresses += ["/images/tiny-labels/7.png", "/images/tiny-labels/7.png?label=red"]
    assert len({(await client.get(address)).headers["etag"] for address in addresses}) == len(addresses)


async def test_the_pages_files_are_held_the_same_way(client: httpx.AsyncClient) -> None:
    """The studio's page and icon."""
    for path in ("/", "/favicon.ico"):
        tag = (await client.get(path)).headers["etag"]
        assert (await client.get(path, headers={"if-none-match": f'"x", W/{tag}'})).status_code == 304


def test_a_tag_with_a_comma_is_one_tag() -> None:
    """Lists are not split at commas inside quotes."""
    assert is_held('"a,b", "c"', '"c"')
    assert not is_held('"a,b"', '"b"')
    assert not is_held(None, '"b"')


@pytest.mark.parametrize("path", ["/livez", "/models", PICTURE, "/", "/openapi.json", "/latents", "/nowhere"])
async def test_head_is_get_without_a_body(opened: Open, path: str) -> None:
    """Section 9.3.2: the same status and headers, and the connection goes on."""
    wire = Wire(await opened())
    wire.tell(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    status, headers, _ = await wire.hear()
    wire.tell(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = await told(wire)
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert head.endswith(b"\r\n\r\n")
    assert f"content-type: {headers['content-type']}".encode() in head
    wire.data = b""
    assert (await wire.ask(BODY))[0] == 200


async def test_head_of_an_event_stream_ends_at_once(client_with: ClientFactory) -> None:
    """While its job waits, GET would stay open; nothing is left running for HEAD."""
    async with client_with(role="api") as client:
        answer = await client.post("/sample", json={"seed": 1, "n": 4}, headers={"prefer": "respond-async"})
        events = answer.json()["urls"]["events"]
        began = time.perf_counter()
        head = await client.head(events, headers={"accept": "text/event-stream"})
        assert time.perf_counter() - began < 2
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"].startswith("text/event-stream")
        assert client.app.state.ganymede.in_flight == 0


@pytest.mark.parametrize("path", ["/sample", "/latents", "/upsample"])
async def test_who_vanishes_in_the_middle_of_a_body_is_no_failure(
    opened: Open, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Counted as 499; no traceback in the log, which anybody could fill that way."""
    app = await opened()
    wire = Wire(app)
    kind = "image/png" if path == "/upsample" else "application/json; charset=utf-8"
    wire.tell(wire.say(b"{" + b" " * 99, f"Content-Type: {kind}", path=path)[:-50])
    await asyncio.sleep(0.05)
    wire.protocol.connection_lost(None)
    async with asyncio.timeout(10):
        while app.state.ganymede.in_flight:
            await asyncio.sleep(0.001)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
