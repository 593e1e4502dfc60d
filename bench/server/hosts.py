"""What the check of Host, Origin and Sec-Fetch-Site costs a request: `python -m bench.server.hosts`, microseconds."""

import timeit
from functools import partial

from service.http.hosts import HostPolicy
from service.settings import Settings

CURL = [
    (b"host", b"localhost:8000"),
    (b"user-agent", b"curl/8"),
    (b"accept", b"image/png"),
    (b"content-type", b"application/json"),
    (b"content-length", b"11"),
]
STUDIO = [
    *CURL,
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"accept-language", b"en"),
    (b"origin", b"http://localhost:8000"),
    (b"referer", b"http://localhost:8000/"),
    (b"sec-fetch-dest", b"empty"),
    (b"sec-fetch-mode", b"cors"),
    (b"sec-fetch-site", b"same-origin"),
]
ROUNDS, CALLS = 7, 50_000


def main() -> None:
    """The best of several rounds, for a program's request and a browser's."""
    policy = HostPolicy(Settings())
    for name, headers in (("curl, 5 headers", CURL), ("studio, 12 headers", STUDIO)):
        best = min(timeit.repeat(partial(policy.check, "POST", "1.1", headers), number=CALLS, repeat=ROUNDS))
        print(f"{name}: {best / CALLS * 1e6:.2f} us")


if __name__ == "__main__":
    main()
