"""Which version of a name is served by default and which are unloaded: kept in Redis, the same for a whole fleet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from redis.asyncio import Redis

from service.redis.failures import as_service_errors
from service.redis.keys import RedisKeys


@dataclass(frozen=True)
class Choices:
    """What people decided: `defaults` maps a name to the digest it stands for, `unloaded` holds `name@digest`."""

    defaults: Mapping[str, str] = field(default_factory=dict)
    unloaded: frozenset[str] = frozenset()


class VersionStore:
    """The choices in Redis: one hash, a field a decision, so that two processes never overwrite each other's."""

    def __init__(self, redis: Redis, keys: RedisKeys) -> None:
        self._redis, self._key = redis, keys.name("versions")
        self._signal = keys.name("signal_versions")

    async def read(self) -> Choices:
        """All choices. Raises UnavailableError while Redis is away."""
        with as_service_errors():
            found = cast(dict[bytes, bytes], await cast(Any, self._redis.hgetall(self._key)))
        rows = [(*name.decode().split(":", 1), value.decode()) for name, value in found.items()]
        return Choices(
            {name: digest for kind, name, digest in rows if kind == "default"},
            frozenset(name for kind, name, _ in rows if kind == "unloaded"),
        )

    async def set_default(self, name: str, digest: str) -> None:
        """From now on `name` alone means this version, everywhere and after restarts."""
        await self._write({f"default:{name}": digest})

    async def unload(self, references: list[str]) -> None:
        """Serve these versions no longer."""
        await self._write({f"unloaded:{reference}": "1" for reference in references})

    async def load(self, references: list[str]) -> None:
        """Serve these versions again."""
        await self._write({}, [f"unloaded:{reference}" for reference in references])

    async def _write(self, fields: dict[str, str], gone: Sequence[str] = ()) -> None:
        with as_service_errors():
            async with self._redis.pipeline(transaction=True) as pipe:
                for name, value in fields.items():
                    pipe.hset(self._key, name, value)
                if gone:
                    pipe.hdel(self._key, *gone)
                pipe.publish(self._signal, "")
                await pipe.execute()
