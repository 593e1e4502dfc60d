"""Which doors are open, and which scope the others ask for: the whole table."""

import pytest

from service.http.admission import is_open, scope_of, token_of

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
    assert scope_of("POST", path) == scope


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
