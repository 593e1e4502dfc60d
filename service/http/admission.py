"""Who may come in: API key, scope of the endpoint, requests a minute. Runs before anything is parsed."""

import re

from starlette.types import Scope

from service.auth.keys import ApiKey
from service.errors import ForbiddenError, OverloadedError, UnauthorizedError
from service.operations.state import State
from service.redis.failures import as_service_errors

# Health for orchestrators, metrics for Prometheus, and the page and documentation, which hold no data of anybody.
OPEN = ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/studio", "/favicon.ico")
SAVING = ("/latents", "/directions")
ADMIN = re.compile(r"^(/jobs/[^/]+/requeue|/models/[^/]+/default|/v2/repository/models/[^/]+/(un)?load)$")
READING = frozenset({"GET", "HEAD", "OPTIONS"})


async def admit(scope: Scope, state: State) -> None:
    """Find the caller's key and count the request. Raises UnauthorizedError, ForbiddenError or OverloadedError.

    Without a key file everybody may come in.
    """
    if state.keyring is None or is_open(scope["path"]):
        return
    key = state.keyring.find(token_of(scope))
    if key is None:
        challenge = {"WWW-Authenticate": 'Bearer realm="ganymede"', "Connection": "close"}
        raise UnauthorizedError("send an API key: Authorization: Bearer <key>", headers=challenge)
    needed = scope_of(scope["path"])
    if scope["method"] not in READING and not key.allows(needed):
        raise ForbiddenError(f"API key {key.name!r} lacks the scope {needed!r}", headers={"Connection": "close"})
    await _count(state, key)
    scope.setdefault("state", {}).update(api_key=key, caller=key.name)


async def _count(state: State, key: ApiKey) -> None:
    with as_service_errors():
        wait_s = await state.limiter.wait_s(key.name, key.per_minute)
    if wait_s > 0:
        detail = f"API key {key.name!r} may send {key.per_minute} requests a minute"
        raise OverloadedError(detail, retry_after_s=wait_s, reason="rate")


def is_open(path: str) -> bool:
    """Whether a path needs no key."""
    return path == "/" or any(path == prefix or path.startswith(prefix + "/") for prefix in OPEN)


def scope_of(path: str) -> str:
    """The scope that changing or computing something at a path needs; reading needs any key."""
    if any(path == prefix or path.startswith(prefix + "/") for prefix in SAVING):
        return "latents:write"
    return "admin" if ADMIN.search(path) else "sample"


def token_of(scope: Scope) -> str:
    """The key of a request: `Authorization: Bearer` or `X-API-Key`; empty when there is none."""
    headers: dict[bytes, str] = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    scheme, _, token = headers.get(b"authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get(b"x-api-key", "")
