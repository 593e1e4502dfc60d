"""What a stranger might send: good messages with bytes turned, taken out, doubled, cut off. Every case has a seed."""

import os
import random
import re
import time
from collections.abc import Iterator

SECONDS = float(os.environ.get("GANYMEDE_FUZZ_SECONDS", "0"))
"""With it (`make evidence-fuzz`) each test goes on for so long with new seeds; without, the same few every time."""
PIECES = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b" ",
    b"\t",
    b":",
    b"\0",
    b"\xff",
    b"0",
    b"99999999999999999999",
    b"-1",
    b"{",
    b"[",
]
PIECES += [
    b"Host: localhost\r\n",
    b"Host: evil.example\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
]
PIECES += [b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Origin: null\r\n", b"Content-Encoding: gzip\r\n"]


def seeds(count: int) -> Iterator[int]:
    """The first `count` numbers; with GANYMEDE_FUZZ_SECONDS as many fresh ones as fit."""
    yield from range(count)
    end, fresh = time.monotonic() + SECONDS, random.SystemRandom()
    while time.monotonic() < end:
        count += 1
        yield fresh.randrange(1 << 40)
    print(f"{count} cases")


def mutated(data: bytes, rng: random.Random, most: int = 4, pieces: list[bytes] = PIECES) -> bytes:
    """`data` after one to `most` changes."""
    for _ in range(rng.randint(1, most)):
        at, other = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
        kind = rng.randrange(6)
        if kind == 0 and data:
            at = min(at, len(data) - 1)
            data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + rng.choice(pieces) + data[at:]
        elif kind == 2:
            data = data[:at] + data[min(other, at + 16) :]
        elif kind == 3:
            data = data[:other] + data[at : min(other, at + 64)] + data[other:]
        elif kind == 4:
            data = data[:at]
        else:
            data = data[:at] + rng.randbytes(rng.randint(1, 8)) + data[at:]
    return data


def answered(metrics: str) -> int:
    """How many requests a server has answered, of what it says at `/metrics`."""
    return sum(int(float(count)) for count in re.findall(r"^ganymede_requests_total\{.*\} (\S+)$", metrics, re.M))
