"""From a folder of pictures to a served bundle: trained, killed, resumed, exported, and picked up by a running server."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.bundles import make_tiny
from tests.end_to_end.processes import environment, running
from tests.training.pictures import make_pictures
from training.run.run_folder import RunFolder

SMALL = [
    "data.path=pictures", "data.size=16", "generator.width=4", "discriminator.width=4", "run.batch=16", "run.steps=40",
    "run.snapshot_every=4", "run.precision=float32", "ema.standing_batches=2",
]  # fmt: skip


def training(tmp_path: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    line = [sys.executable, "-m", "training.cli", *arguments]
    settings = environment(tmp_path, OMP_NUM_THREADS="1")
    return subprocess.Popen(line, cwd=tmp_path, env=settings, stdout=subprocess.DEVNULL)


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def test_pictures_from_the_command_line_to_a_running_server(tmp_path: Path) -> None:
    """The new bundle is listed and sampled without a restart; the run it comes from was killed on the way."""
    run, bundles = tmp_path / "run", tmp_path / "bundles"
    bundles.mkdir()
    make_tiny(bundles, "tiny")
    make_pictures(tmp_path / "pictures", count=32, side=80)
    first = training(tmp_path, "train", "faces64-2016", *SMALL, "--run", str(run))
    wait_for(lambda: RunFolder(run).latest_step())
    first.kill()
    first.wait()
    assert (RunFolder(run).latest_step() or 0) < 40, "killed too late to mean anything"
    with running(tmp_path, bundles) as (_, url), httpx.Client(base_url=url, timeout=30) as client:
        assert [model["name"] for model in client.get("/models").json()["data"]] == ["tiny"]
        assert training(tmp_path, "train", "--resume", str(run)).wait(timeout=120) == 0
        assert RunFolder(run).latest_step() == 40
        assert training(tmp_path, "export", str(run), "--out", str(bundles), "--name", "new").wait(timeout=200) == 0
        wait_for(lambda: client.get("/models/new").status_code == 200, seconds=60)
        picture = client.post("/sample", json={"model": "new", "n": 4, "seed": 7})
    assert picture.status_code == 200
    assert picture.headers["content-type"] == "image/png"
