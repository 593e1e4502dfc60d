"""Broken requests, byte by byte: the way below ASGI and the ordinary way give the same answers, and never a failure."""

import asyncio
import random
import re
from typing import Any

from tests.service.fuzz.mutations import mutated, seeds
from tests.service.wires import Open, Wire

BODIES = [
    b'{"seed": 1}',
    b'{"seed": 2, "n": 2}',
    b'{"model": "tiny-labels", "seed": 3, "label": "red"}',
    b'{"sede": 1}',
]
AFTER = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


async def settled(wire: Wire) -> None:
    """Until the next thing is up to the client."""
    quiet = 0
    async with asyncio.timeout(30):
        while quiet < 4:
            await asyncio.sleep(0.001)
            quiet = quiet + 1 if wire.closed or wire.protocol.awaits_client else 0


async def heard(app: Any, pieces: list[bytes], fast: bool) -> tuple[list[bytes], bool]:
    """The statuses of all answers to a stream in pieces, and whether the connection was closed."""
    wire = Wire(app, fast=fast)
    for piece in pieces:
        if not wire.closed:
            wire.tell(piece)
            await settled(wire)
    statuses, closed = STATUS.findall(wire.data), wire.closed
    wire.protocol.connection_lost(None)
    async with asyncio.timeout(30):
        while app.state.ganymede.in_flight:
            await asyncio.sleep(0.001)
    # what is broken may be told before an answer that is still being made: then the connection ends and that answer may not come
    return [b"400"] if closed and b"400" in statuses else statuses, closed


def stream(wire: Wire, rng: random.Random) -> list[bytes]:
    """A good request, a broken one, perhaps a good one after them; cut anywhere."""
    good = [wire.say(rng.choice(BODIES)) for _ in range(2)]
    data = b"".join([*good[: rng.randrange(2)], mutated(wire.say(rng.choice(BODIES)), rng), rng.choice([b"", AFTER])])
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(3)))
    pieces = [data[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True) if start < stop]
    return [*pieces, b"\r\n\r\n"]  # a head may be refused at its first bad byte or at its end: it ends


async def test_both_ways_answer_broken_requests_alike(opened: Open) -> None:
    """The same statuses in the same order, the same end of the connection, and no 5xx."""
    app = await opened()
    writer = Wire(app)
    for seed in seeds(150):
        pieces = stream(writer, random.Random(seed))
        fast, plain = [await heard(app, pieces, way) for way in (True, False)]
        assert fast == plain, f"seed {seed}: {pieces}"
        assert all(status < b"500" for status in fast[0]), f"seed {seed}: {pieces}"
