"""A set outlives its server: killed in the middle, it goes on from the last part, and the bytes are the same."""

import hashlib
import time
from pathlib import Path
from typing import Any

import httpx

from tests.end_to_end.processes import running

WISH = {"model": "tiny", "n": 6_000, "seed": 3}
SETTINGS = {"GANYMEDE_THREADS": "1", "GANYMEDE_JOB_LEASE_S": "1"}


def test_killed_in_the_middle(bundle_folder: Path, tmp_path: Path) -> None:
    """6,000 pictures, `kill -9` after the first parts, a new server: parts that were done are not made again, and every
    byte is that of a set that nobody disturbed."""
    with running(tmp_path, bundle_folder, **SETTINGS) as (process, address):
        job = ordered(address)
        while len(done := parts(tmp_path, job)) < 3:
            time.sleep(0.02)
        process.kill()
        process.wait()
        before = {path: path.stat().st_mtime_ns for path in done}
    with running(tmp_path, bundle_folder, **SETTINGS) as (_, address):
        finish(address, job)
        assert {path: path.stat().st_mtime_ns for path in before} == before
        other = ordered(address)
        finish(address, other)
        assert digest(address, job) == digest(address, other)
        assert [path.read_bytes() for path in parts(tmp_path, other)] == [p.read_bytes() for p in parts(tmp_path, job)]


def ordered(address: str) -> str:
    answer = httpx.post(f"{address}/sample", json=WISH, timeout=30)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def parts(tmp_path: Path, job: str) -> list[Path]:
    """The finished parts, in order."""
    folder = tmp_path / "data" / "results" / job
    found = [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []
    return sorted(found, key=lambda path: int(path.name))


def finish(address: str, job: str) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        record: dict[str, Any] = httpx.get(f"{address}/jobs/{job}", timeout=30).json()
        if record["state"] not in ("queued", "running"):
            assert (record["state"], record["progress"]["done"]) == ("succeeded", WISH["n"]), record
            return
        time.sleep(0.1)
    raise AssertionError("the set was not finished in time")


def digest(address: str, job: str) -> str:
    whole = hashlib.sha256()
    with httpx.stream(
        "GET", f"{address}/jobs/{job}/result", headers={"accept": "application/x-npz"}, timeout=60
    ) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_bytes():
            whole.update(piece)
    return whole.hexdigest()
