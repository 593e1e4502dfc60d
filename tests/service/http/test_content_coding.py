"""Compressed bodies: read like plain ones, within the same limit; other codings are refused, on every way in."""

import gzip
import time
import tracemalloc
import zlib
from typing import Any

import pytest

from service.errors import MalformedError, TooLargeError, UnsupportedEncodingError
from service.http.content_coding import PIECE_BYTES, Decoder, coding_of, decoded, without_coding
from service.http.gate import limited
from tests.conftest import ClientFactory
from tests.service.wires import Open, Wire, answered_fast

BODY = b'{"seed": 7}'
RAW = zlib.compressobj(9, zlib.DEFLATED, -15)
BARE = RAW.compress(BODY) + RAW.flush()
CODED = {
    "gzip": [gzip.compress(BODY, mtime=0), gzip.compress(BODY[:4], mtime=0) + gzip.compress(BODY[4:], mtime=0)],
    "x-gzip": [gzip.compress(BODY, mtime=0)],
    "deflate": [zlib.compress(BODY), BARE],
    "GZip": [gzip.compress(BODY, mtime=0)],
    "identity": [BODY],
}
CASES = [
    pytest.param(coding, data, id=f"{coding}-{number}")
    for coding, bodies in CODED.items()
    for number, data in enumerate(bodies)
]
KINDS = ["application/json", "application/json; charset=utf-8"]


@pytest.mark.parametrize(("coding", "data"), CASES)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_compressed_request_gets_the_same_picture(opened: Open, coding: str, data: bytes, kind: str) -> None:
    """Whichever way it takes; a head that was seen before does not make its body plain."""
    app = await opened()
    wire = Wire(app)
    plain = await wire.ask(BODY)
    for _ in range(2):
        answer = await wire.ask(data, f"Content-Encoding: {coding}", f"Content-Type: {kind}")
        assert (answer[0], answer[2]) == (200, plain[2])


@pytest.mark.parametrize("coding", ["zstd", "br", "gzip, gzip", "nonsense"])
@pytest.mark.parametrize("kind", KINDS)
async def test_other_codings_are_415_and_are_told_which_are_read(opened: Open, coding: str, kind: str) -> None:
    """Not taken for JSON that cannot be read."""
    app = await opened()
    taken = answered_fast(app)
    status, headers, _ = await Wire(app).ask(BODY, f"Content-Encoding: {coding}", f"Content-Type: {kind}")
    assert (status, headers["accept-encoding"]) == (415, "gzip, deflate")
    assert not taken


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", BODY),
        ("gzip", gzip.compress(BODY, mtime=0)[:-3]),
        ("gzip", gzip.compress(BODY, mtime=0) + b"rest"),
        ("gzip", gzip.compress(BODY, mtime=0)[:-8] + b"\0" * 8),
        ("deflate", gzip.compress(BODY, mtime=0)),
        ("deflate", zlib.compress(BODY) + b"rest"),
        ("deflate", zlib.compress(BODY) + zlib.compress(b"")),
        ("deflate", zlib.compress(BODY)[:-1]),
    ],
)
async def test_what_is_not_of_its_coding_is_400(opened: Open, coding: str, data: bytes) -> None:
    """Plain text, cut off, with a rest, with a wrong checksum."""
    status, headers, _ = await Wire(await opened()).ask(data, f"Content-Encoding: {coding}")
    assert (status, headers["content-type"]) == (400, "application/problem+json")


async def test_a_bomb_stops_at_the_limit(client_with: ClientFactory) -> None:
    """A gigabyte of zeros in a megabyte: 413 at once, and never more than the limit in memory."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = b"\0" * (1 << 20)
    bomb = b"".join([*(packer.compress(zeros) for _ in range(1024)), packer.flush()])
    async with client_with(max_body_bytes=4 << 20) as client:
        tracemalloc.start()
        began = time.perf_counter()
        for path in ("/sample", "/upsample", "/features", "/latents"):
            headers = {"content-encoding": "gzip", "content-type": "application/octet-stream"}
            if path in {"/sample", "/latents"}:
                headers["content-type"] = "application/json"
            assert (await client.post(path, content=bomb, headers=headers)).status_code == 413
        took, (_, peak) = time.perf_counter() - began, tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert took < 5
    assert peak < 40 << 20


async def test_an_import_may_be_compressed(client_with: ClientFactory) -> None:
    """The file of the export as `gzip` makes it."""
    async with client_with() as client:
        await client.post("/latents", json={"name": "one", "from": {"seed": 1}})
        lines = (await client.get("/latents/export")).content
        await client.delete("/latents/one")
        headers = {"content-encoding": "gzip", "content-type": "application/x-ndjson"}
        assert (
            await client.post("/latents/import", content=gzip.compress(lines, mtime=0), headers=headers)
        ).status_code == 200
        assert (await client.get("/latents/one")).status_code == 200


def test_pieces_are_bounded_whatever_the_ratio() -> None:
    """And together they are the body, however it is cut up."""
    body = b"ab" * (3 << 20)
    packed = gzip.compress(body, mtime=0)
    for cut in (1, 1000, len(packed)):
        decoder, found = Decoder(b"gzip"), []
        for start in range(0, len(packed), cut):
            found += list(decoder.feed(packed[start : start + cut]))
        decoder.finish()
        assert max(map(len, found)) <= PIECE_BYTES
        assert b"".join(found) == body


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], None),
        ([b""], None),
        ([b"identity"], None),
        ([b"gzip"], b"gzip"),
        ([b"identity, gzip"], b"gzip"),
        ([b"", b"gzip", b"identity"], b"gzip"),
    ],
)
def test_the_header_is_read(lines: list[bytes], expected: bytes | None) -> None:
    """Empty elements and identity are nothing."""
    assert coding_of([(b"content-encoding", line) for line in lines]) == expected


def test_two_lines_are_one_list() -> None:
    """RFC 9110, section 5.3."""
    with pytest.raises(UnsupportedEncodingError):
        coding_of([(b"content-encoding", b"gzip"), (b"content-encoding", b"deflate")])


def test_what_is_said_of_a_decoded_body_is_true() -> None:
    """Neither its coding nor how long it was; the other headers stay."""
    other = [(b"content-type", b"application/json"), (b"x-content-length", b"7")]
    assert without_coding([(b"content-encoding", b"gzip"), *other, (b"content-length", b"31")]) == other


async def heard(limit: int, *messages: dict[str, Any]) -> list[Any]:
    """What the application gets of these messages, and of the end of the connection after them."""
    waiting = iter([*messages, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(waiting)

    plain, found = limited(decoded(receive, b"gzip"), limit), []
    while (message := await plain())["type"] == "http.request":
        assert message["more_body"] is bool(message["body"])
        found.append(message["body"])
    return [*found, message]


async def test_a_body_ends_once_and_then_only_the_connection_can() -> None:
    """In however many messages it comes; whether the client has gone can be asked while the answer is made."""
    packed, gone = gzip.compress(BODY, mtime=0), {"type": "http.disconnect"}
    whole = {"type": "http.request", "body": packed}
    assert await heard(100, whole) == [BODY, b"", gone]
    assert await heard(100, {"type": "http.request"}) == [b"", gone]
    parts = [{"type": "http.request", "body": packed[k : k + 1], "more_body": True} for k in range(len(packed))]
    found = await heard(100, *parts, {"type": "http.request", "body": b"", "more_body": False})
    assert (b"".join(found[:-2]), found[-2:]) == (BODY, [b"", gone])
    assert await heard(100, parts[0]) == [gone], "who hangs up in the middle has sent no body"


async def test_the_limit_is_of_what_comes_out() -> None:
    """Exactly so many bytes are taken, over all messages; one more ends the connection."""
    packed = gzip.compress(b"ab" * PIECE_BYTES, mtime=0)
    message = {"type": "http.request", "body": packed}
    assert len(b"".join((await heard(2 * PIECE_BYTES, message))[:-1])) == 2 * PIECE_BYTES
    with pytest.raises(TooLargeError, match=f"more than {2 * PIECE_BYTES - 1} bytes") as refused:
        await heard(2 * PIECE_BYTES - 1, message)
    assert refused.value.headers == {"Connection": "close"}


@pytest.mark.parametrize("coding", ["br", "gzip, gzip"])
def test_a_coding_that_is_not_read_ends_the_connection(coding: str) -> None:
    """Its body is still to come, and nobody will read it."""
    with pytest.raises(UnsupportedEncodingError, match="gzip and deflate") as refused:
        coding_of([(b"content-encoding", coding.encode())])
    assert refused.value.headers == {"Accept-Encoding": "gzip, deflate", "Connection": "close"}


def test_no_body_needs_no_end() -> None:
    """A GET that carries the header is not cut off; a body that has begun is."""
    decoder: Any = Decoder(b"gzip")
    decoder.finish()
    list(decoder.feed(gzip.compress(BODY, mtime=0)[:12]))
    with pytest.raises(MalformedError):
        decoder.finish()
