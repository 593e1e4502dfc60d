"""What is asked of a server: requests as bytes, the same for every target."""

import itertools
import json
import random
from dataclasses import dataclass

from bench.server.client import Next

MEDIA = {"png": "image/png", "npy": "application/x-npy", "jpeg": "image/jpeg"}


@dataclass(frozen=True)
class Workload:
    """Requests for `n` pictures each in one representation, from `callers` at once."""

    name: str
    bundle: str
    n: int
    media: str
    callers: int
    precision: str | None = None

    def requests(self, path: str, seed: int = 0) -> Next:
        """An endless source of requests with fresh seeds."""
        seeds = itertools.count(seed, self.n)
        return lambda: (request(path, self.bundle, self.n, next(seeds) % 2**32, self.media, self.precision), self.n)


def request(path: str, bundle: str, n: int, seed: int, media: str, precision: str | None = None) -> bytes:
    """One POST with a JSON body. Rivals pass over a precision."""
    fields = {"model": bundle, "n": n, "seed": seed} | ({} if precision is None else {"precision": precision})
    body = json.dumps(fields, separators=(",", ":")).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {MEDIA[media]}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def mixed(path: str, bundle: str, seed: int = 0) -> Next:
    """What a public page sees: mostly single pictures, some sheets, now and then a large array."""
    rng, seeds = random.Random(seed), itertools.count(seed * 1_000_000)
    kinds = [(0.85, 1, "png"), (0.13, 16, "png"), (0.02, 64, "npy")]

    def following() -> tuple[bytes, int]:
        _, n, media = rng.choices(kinds, [share for share, _, _ in kinds])[0]
        return request(path, bundle, n, next(seeds) * 64 % 2**32, media), n

    return following


def standard(big: str, small: str) -> list[Workload]:
    """The workloads of the results table: `big` is the 64-pixel colour bundle, `small` the 32-pixel one."""
    return [
        Workload("n=1 64² PNG, c=32", big, 1, "png", 32),
        Workload("n=16 64² sheet, c=8", big, 16, "png", 8),
        Workload("n=16 64² sheets fast, c=8", big, 16, "png", 8, "fast"),
        Workload("n=256 64² npy, c=4", big, 256, "npy", 4),
        Workload("n=1 32² PNG, c=32", small, 1, "png", 32),
        Workload("n=1 64² PNG, c=1", big, 1, "png", 1),
    ]
