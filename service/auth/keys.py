"""API keys: a file of hashes with names, scopes and limits; and the limiter that counts for a whole fleet in Redis."""

import hashlib
import hmac
import logging
import secrets
import time
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

from service.redis.keys import RedisKeys

log = logging.getLogger("ganymede.auth")

SCOPES = ("sample", "latents:write", "admin")
LOOK_EVERY_S = 1.0


class KeyFileError(ValueError):
    """The key file cannot be used; the message says where."""


@dataclass(frozen=True)
class ApiKey:
    """One key: who it is, what it may do, how many requests a minute. The key itself is nowhere, only its SHA-256.

    A fast hash is right here: a key is 256 random bits, which nobody guesses; slow hashes protect passwords.
    """

    name: str
    sha256: str
    scopes: frozenset[str]
    per_minute: int = 600

    def allows(self, scope: str) -> bool:
        """Whether the key has a scope; `admin` has all."""
        return self.is_admin or scope in self.scopes

    @property
    def is_admin(self) -> bool:
        """Whether everything is allowed, other callers' jobs too."""
        return "admin" in self.scopes


class KeyRing:
    """The keys of one file. A changed file is read within a second; a broken one leaves the keys as they were."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys = read_keys(path)
        self._seen = path.stat().st_mtime_ns
        self._looked = time.monotonic()

    def find(self, token: str) -> ApiKey | None:
        """The key of a token. Takes the same time whichever key it is, or none."""
        self._look()
        digest = hash_key(token)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def _look(self) -> None:
        if time.monotonic() - self._looked < LOOK_EVERY_S:
            return
        self._looked = time.monotonic()
        try:
            changed = self.path.stat().st_mtime_ns
            if changed != self._seen:
                self._keys, self._seen = read_keys(self.path), changed
        except (OSError, KeyFileError) as error:
            log.error("the API keys stay as they were: %s", error)


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """The keys of a TOML file of `[[key]]` tables. Raises KeyFileError."""
    try:
        keys = tuple(map(_key_of, tomllib.loads(path.read_text()).get("key", [])))
    except KeyFileError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # ValueError: TOML, UTF-8, a number
        raise KeyFileError(f"API key file: {type(error).__name__}: {error}") from None
    if len({key.name for key in keys}) != len(keys):
        raise KeyFileError("API key file: two keys have the same name")
    return keys


def _key_of(row: dict[str, object]) -> ApiKey:
    if not isinstance(row["scopes"], list):
        raise KeyFileError(f"API key {row['name']!r}: scopes must be a list")
    scopes = frozenset(map(str, row["scopes"]))
    if unknown := scopes - set(SCOPES):
        raise KeyFileError(f"API key {row['name']!r}: unknown scope {sorted(unknown)[0]!r}; known: {', '.join(SCOPES)}")
    if len(str(row["sha256"])) != 64:
        raise KeyFileError(f"API key {row['name']!r}: sha256 must be 64 hex digits")
    per_minute = int(str(row.get("per_minute", 600)))
    if per_minute < 1:
        raise KeyFileError(f"API key {row['name']!r}: per_minute must be at least 1")
    return ApiKey(str(row["name"]), str(row["sha256"]).lower(), scopes, per_minute)


def hash_key(token: str) -> str:
    """SHA-256 of a key, as the file holds it."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def new_key(name: str, scopes: Iterable[str], per_minute: int) -> tuple[str, str]:
    """A fresh key and the `[[key]]` table for the file. The key is shown once and stored nowhere."""
    token = "gmd_" + secrets.token_urlsafe(32)
    listed = ", ".join(f'"{scope}"' for scope in scopes)
    table = f'[[key]]\nname = "{name}"\nsha256 = "{hash_key(token)}"\nscopes = [{listed}]\nper_minute = {per_minute}\n'
    return token, table


# Generic cell rate algorithm: one number per key, exact Retry-After, no burst at the edge of a minute.
# Atomic, because the requests of all API processes count against one limit.
# KEYS: limiter; ARGV: requests a minute. Returns 0 when allowed, else milliseconds to wait
LIMIT = """
local t = redis.call('TIME')
local now, per_minute = tonumber(t[1]) * 1000 + tonumber(t[2]) / 1000, tonumber(ARGV[1])
local step = 60000 / per_minute
local free = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
if free + step - now > 60000 then return math.ceil(free + step - now - 60000) end
redis.call('SET', KEYS[1], string.format('%.3f', free + step), 'PX', 60000)
return 0
"""


class RateLimiter:
    """Requests a minute of each key, over all processes of a fleet."""

    def __init__(self, redis: Redis, keys: RedisKeys) -> None:
        self._keys = keys
        self._script = redis.register_script(LIMIT)

    async def wait_s(self, name: str, per_minute: int) -> float:
        """0 when the request may pass (and is counted), else the seconds after which one will."""
        return int(await self._script(keys=[self._keys.name("limit", name=name)], args=[per_minute])) / 1000
