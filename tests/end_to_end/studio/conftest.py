"""One server and one browser for all tests of the studio."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser

from tests.bundles import make_tiny_pyramid
from tests.end_to_end.browser import chromium, guarded
from tests.end_to_end.processes import running
from tests.end_to_end.studio.page import Open


@pytest.fixture(scope="package")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run: curves, two grids, and samples that have grown alike."""
    run = tmp_path_factory.mktemp("runs") / "first"
    (run / "grids").mkdir(parents=True)
    rows = [{"step": k, "images": k * 64, "seconds": 1.5 * k, "generator_loss": 1 / k} for k in range(1, 9)]
    rows[-1]["diversity_ratio"] = 0.1
    (run / "stats.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for step in (4, 8):
        Image.new("RGB", (32, 32), (step * 30, 60, 90)).save(run / "grids" / f"step-{step:08d}.png")
    return run.parent


@pytest.fixture(scope="package")
def address(bundle_folder: Path, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server over the tiny bundles and one that goes from 8 over 16 and 32 to 64 pixels, with a run to look at."""
    folder, tall = tmp_path_factory.mktemp("studio"), tmp_path_factory.mktemp("tall")
    make_tiny_pyramid(tall, "tall-lapgan", sides=(8, 16, 32, 64))
    settings = {"GANYMEDE_DEFAULT_MODEL": "tiny", "GANYMEDE_RUNS_DIR": str(runs), "GANYMEDE_JOB_SLOTS": "1"}
    with running(folder, bundle_folder, "--bundles", str(tall), **settings, GANYMEDE_THREADS="1") as (_, found):
        yield found


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def studio(browser: Browser, address: str) -> Open:
    """`with studio() as page`: the page in a fresh context."""
    return partial(guarded, browser, address)
