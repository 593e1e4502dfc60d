"""Which doors are open, and which scope the others ask for: the whole table."""

import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import Redis

from service.auth.keys import KeyRing, RateLimiter, new_key
from service.errors import ForbiddenError, OverloadedError, UnauthorizedError
from service.http.admission import admit, is_open, scope_of, token_of
from service.redis.keys import RedisKeys

OPEN = [
    "/",
    "/livez",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/docs/oauth2",
    "/studio/app.js",
    "/favicon.ico",
]
CLOSED = ["", "/livezz", "/sample", "/latents", "/docs2", "//", "/jobs", "/models/livez", "/v2/health/live"]


@pytest.mark.parametrize(("path", "opens"), [*((path, True) for path in OPEN), *((path, False) for path in CLOSED)])
def test_only_what_holds_nobodys_data_is_open(path: str, opens: bool) -> None:
    """Health, metrics, the page and its documentation, and nothing that begins like them."""
    assert is_open(path) is opens


SCOPES = {
    "latents:write": ["/latents", "/latents/a", "/directions", "/directions/learn"],
    "admin": ["/jobs/1/requeue", "/models/a/default", "/v2/repository/models/a/load", "/v2/repository/models/a/unload"],
    "sample": ["/sample", "/latentsx", "/jobs", "/jobs/1/cancel", "/jobs/1/requeue/x", "/models/a/b/default"],
}


@pytest.mark.parametrize(("scope", "path"), [(scope, path) for scope, paths in SCOPES.items() for path in paths])
def test_every_path_has_its_scope(scope: str, path: str) -> None:
    """What changes saved vectors, what changes the server, and the rest."""
    assert scope_of(path) == scope


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({}, ""),
        ({"authorization": "Bearer abc"}, "abc"),
        ({"Authorization": "bearer  abc "}, "abc"),
        ({"authorization": "Bearer a b"}, "a b"),
        ({"X-API-Key": "abc"}, "abc"),
        ({"authorization": "Basic xyz", "x-api-key": "abc"}, "abc"),
        ({"authorization": "Bearer abc", "x-api-key": "other"}, "abc"),
        ({"authorization": "Bearer"}, ""),
        ({"authorization": "Bearer \xff"}, "\xff"),
    ],
)
def test_a_key_is_said_in_either_header(headers: dict[str, str], token: str) -> None:
    """`Authorization: Bearer` goes before `X-API-Key`; any bytes are only a key nobody has."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    assert token_of({"type": "http", "headers": raw}) == token


def asked(method: str, path: str, token: str = "") -> dict[str, Any]:
    headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
    return {"type": "http", "method": method, "path": path, "headers": headers}


async def test_the_door(redis: Redis, tmp_path: Path) -> None:
    """Who has no key, the wrong scope or asked too often is told so; who comes in is known by name."""
    (ann, row), (root, other) = new_key("ann", ["sample"], 4), new_key("root", ["admin"], 600)
    (tmp_path / "keys.toml").write_text(row + other)
    limiter = RateLimiter(redis, RedisKeys("{t" + uuid.uuid4().hex[:10] + "}"))
    state: Any = SimpleNamespace(keyring=KeyRing(tmp_path / "keys.toml"), limiter=limiter)
    await admit(asked("GET", "/livez"), state)
    for token in ("", "gmd_wrong"):
        with pytest.raises(UnauthorizedError) as refused:
            await admit(asked("GET", "/models", token), state)
        assert refused.value.headers == {"WWW-Authenticate": 'Bearer realm="ganymede"', "Connection": "close"}
    with pytest.raises(ForbiddenError, match="'ann' lacks the scope 'latents:write'") as refused_too:
        await admit(asked("POST", "/latents", ann), state)
    assert refused_too.value.headers["Connection"] == "close"
    for scope in (asked("POST", "/sample", ann), asked("GET", "/latents", ann), asked("POST", "/latents", root)):
        await admit(scope, state)
        assert scope["state"]["caller"] == scope["state"]["api_key"].name in {"ann", "root"}
    known = {**asked("HEAD", "/jobs", ann), "state": {"request_id": "x"}}
    await admit(known, state)
    assert (known["state"]["request_id"], known["state"]["caller"]) == ("x", "ann")
    await admit(asked("POST", "/sample", ann), state)
    with pytest.raises(OverloadedError, match="'ann' may send 4 requests a minute") as late:
        await admit(asked("POST", "/sample", ann), state)
    assert 14 <= int(late.value.headers["Retry-After"]) <= 16


async def test_without_keys_everybody_comes_in() -> None:
    """And nobody is known."""
    scope, state = asked("POST", "/latents"), SimpleNamespace(keyring=None)
    await admit(scope, state)  # type: ignore[arg-type]
    assert "state" not in scope
