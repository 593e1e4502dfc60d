"""Fixtures that many tests share: tiny bundles, and a server's state or client over them."""

import fcntl
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, settings

from models.bundle import Bundle
from service.http.app import build_app
from service.settings import Settings
from tests.bundles import LABELS, make_tiny, make_tiny_pyramid
from tests.standing_alone import ROOT as ROOT
from tests.standing_alone import Watch
from tests.stores import s3 as s3  # one store for all who ask: its buckets are the process's
from tests.stores import web as web

# for scripts/mutants: nothing is made shorter, and a slow machine is no failure
settings.register_profile(
    "first-found", phases=[Phase.explicit, Phase.reuse, Phase.generate], deadline=None, report_multiple_bugs=False
)

# a machine that stands still for a second while an example is drawn is no failure
settings.register_profile("patient", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

WATCH = Watch()
WATCH.start()


@pytest.fixture(autouse=True)
def nothing_outside() -> Iterator[None]:
    """Fails a test that opened a file outside the repository, its temporary folders and what is installed."""
    yield
    if seen := WATCH.taken():
        pytest.fail(f"opened outside the repository: {', '.join(seen[:5])}")


def made_once(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], None]) -> Path:
    """A folder that `fill(folder)` fills once for all processes that run these tests; nobody may change it."""
    base = factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, unfinished = root / name, root / f"{name}-unfinished"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished.mkdir()
            fill(unfinished)
            unfinished.rename(folder)
    return folder


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three tiny bundles: unconditional, conditional, pyramid."""

    def fill(folder: Path) -> None:
        make_tiny(folder, "tiny")
        make_tiny(folder, "tiny-labels", LABELS, seed=1)
        make_tiny_pyramid(folder)

    return made_once(tmp_path_factory, "bundles", fill)


@pytest.fixture(scope="session")
def tiny(bundle_folder: Path) -> Bundle:
    """The unconditional tiny bundle."""
    from models.bundle import read_bundle

    return read_bundle(bundle_folder / "tiny")


class AppClient(httpx.AsyncClient):
    """A client of an application in this process."""

    app: FastAPI


ClientFactory = Callable[..., AbstractAsyncContextManager[AppClient]]


@pytest.fixture
def client_with(bundle_folder: Path, tmp_path: Path) -> ClientFactory:
    """`async with client_with(max_pictures=10) as client`: the whole application in this process, real runtime."""

    @asynccontextmanager
    async def open_client(**options: Any) -> AsyncIterator[AppClient]:
        defaults = {"bundles": (bundle_folder,), "data_dir": tmp_path / "data", "threads": 1, "default_model": "tiny"}
        app = build_app(Settings(**{**defaults, **options}))
        async with app.router.lifespan_context(app):
            await app.state.ganymede.complete()
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with AppClient(transport=transport, base_url="http://localhost") as client:
                client.app = app
                yield client

    return open_client


@pytest.fixture
async def client(client_with: ClientFactory) -> AsyncIterator[AppClient]:
    """The application with default settings over the tiny bundles."""
    async with client_with() as opened:
        yield opened
