"""What pages of the origins named in GANYMEDE_ALLOWED_ORIGINS are told: preflights, and headers on every answer (CORS)."""

from collections.abc import Iterable

RawHeaders = list[tuple[bytes, bytes]]

METHODS = b"GET, HEAD, POST, PATCH, PUT, DELETE"
ALWAYS_ASKED = b"authorization, content-type"
REMEMBERED_S = b"600"
"""Seconds a browser need not ask again; the most that all of them take is 600 (WebKit)."""


def is_preflight(method: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a browser asks what it may send: OPTIONS with Origin and the method it has in mind (Fetch, 3.2.2)."""
    if method != "OPTIONS":
        return False
    names = {name for name, _ in headers}
    return b"origin" in names and b"access-control-request-method" in names


def headers_for(origin: bytes) -> RawHeaders:
    """Headers of an answer that a page of this origin may read. No cookies are used, so that no credentials are allowed."""
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", b"*"),
    ]


def preflight_headers(origin: bytes, headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """The answer to a preflight of this origin: every method, and the headers it asks about."""
    asked = dict(headers)
    found = [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-methods", METHODS),
        (b"access-control-allow-headers", asked.get(b"access-control-request-headers") or ALWAYS_ASKED),
        (b"access-control-max-age", REMEMBERED_S),
    ]
    if b"access-control-request-private-network" in asked:  # from a public page to a private address
        found.append((b"access-control-allow-private-network", b"true"))
    return found
