"""Real servers for the tests: Redis 7 from PATH and Valkey 9 from the wheel, started once a session on unix sockets."""

import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from service.http.app import build_app
from service.observability.logs import about
from service.redis.connect import connect
from service.redis.embedded import wheel_server
from service.redis.keys import RedisKeys
from service.settings import Settings
from tests.service.servers import Server
from tests.service.wires import Open


def engines() -> list[tuple[str, Path]]:
    """The servers of this machine: the wheel's always, Debian's where installed."""
    wheel, path = wheel_server(), shutil.which("redis-server")
    found = [("valkey", wheel)] if wheel else []
    return found + ([("redis", Path(path))] if path else [])


ENGINES = engines()


@pytest.fixture(autouse=True)
def own_log_ids() -> Iterator[None]:
    """Ids that a test's code learns for its log lines end with the test, as they end with a request."""
    with about():
        yield


@pytest.fixture(scope="session", params=[binary for _, binary in ENGINES], ids=[name for name, _ in ENGINES])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="gmd-test-") as folder, Server(request.param, Path(folder)) as running:
        yield running


@pytest.fixture(params=[binary for _, binary in ENGINES], ids=[name for name, _ in ENGINES])
def own_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server a test may kill."""
    with tempfile.TemporaryDirectory(prefix="gmd-test-") as folder, Server(request.param, Path(folder)) as running:
        yield running


@pytest.fixture
async def redis(server: Server) -> AsyncIterator[Redis]:
    client = connect(server.url)
    yield client
    await client.aclose()


@pytest.fixture
def keys() -> RedisKeys:
    """A hash tag of its own for each test, so that tests share a server and nothing else."""
    return RedisKeys("{t" + uuid.uuid4().hex[:10] + "}")


@pytest.fixture
async def opened(bundle_folder: Path, tmp_path: Path) -> AsyncIterator[Open]:
    """`app = await opened(queue_pictures=4)`: an application whose lifespan has begun."""
    ends: list[Any] = []

    async def open_app(**options: Any) -> Any:
        defaults = {"bundles": (bundle_folder,), "data_dir": tmp_path / "data", "threads": 1, "default_model": "tiny"}
        app = build_app(Settings(**{**defaults, **options}))
        lifespan = app.router.lifespan_context(app)
        await lifespan.__aenter__()
        await app.state.ganymede.complete()
        ends.append(lifespan)
        return app

    yield open_app
    for lifespan in ends:
        await lifespan.__aexit__(None, None, None)
