"""The command line against a real server: files, recipes, exit codes, sentences."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.end_to_end import command as cli
from tests.end_to_end.processes import environment, running


@dataclass
class Run:
    """`run("sample", "-n", "4")` in a folder of its own, against the server at an address."""

    folder: Path
    address: str

    def __call__(self, *arguments: str, url: str = "") -> "subprocess.CompletedProcess[str]":
        surroundings = environment(self.folder, GANYMEDE_URL=url or self.address)
        done = cli.execute(arguments, self.folder, surroundings)
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="module")
def run(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The commands against a server over the tiny bundles."""
    folder = tmp_path_factory.mktemp("cli")
    with running(folder, bundle_folder, GANYMEDE_DEFAULT_MODEL="tiny") as (_, address):
        yield Run(folder, address)


def test_sample_info_and_again(run: Run) -> None:
    """A picture, what it says of itself, and the same picture made from the file."""
    folder = run.folder
    made = run("sample", "-m", "tiny", "--seed", "7", "-o", "a.png", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["seeds"] == [7]
    assert json.loads(run("info", "a.png", "--json").stdout)["seed"] == 7
    assert run("sample", "--from", "a.png", "-o", "b.png").returncode == 0
    assert Image.open(folder / "a.png").tobytes() == Image.open(folder / "b.png").tobytes()


def test_shelf_and_arithmetic(run: Run) -> None:
    """Save two, combine them, walk between them, list them."""
    folder = run.folder
    for name, seed in (("one", "1"), ("two", "2")):
        assert run("latents", "save", name, "--seed", seed, "-m", "tiny", "--tag", "t").returncode == 0
    assert run("arithmetic", "one - two + seed(3)", "-m", "tiny", "-o", "c.png").returncode == 0
    assert run("walk", "one", "two", "-m", "tiny", "--frames", "3", "-o", "frames/").returncode == 0
    assert len(list((folder / "frames").glob("*.png"))) == 3
    listed = json.loads(run("latents", "list", "--tag", "t", "--json").stdout)
    assert {row["name"] for row in listed} == {"one", "two"}


def test_failures_are_sentences(run: Run) -> None:
    """Exit code 1 for a refusal, 3 without a server, each with the next thing to try and no traceback."""
    unknown = run("sample", "-m", "nothing")
    assert unknown.returncode == 1
    assert "ganymede models" in unknown.stderr
    away = run("models", url="http://127.0.0.1:9")
    assert away.returncode == 3
    assert "ganymede serve" in away.stderr
    no_recipe = run("info", "missing.png")
    assert no_recipe.returncode == 1
    for done in (unknown, away, no_recipe):
        assert "Traceback" not in done.stderr


def test_jobs_and_bench(run: Run) -> None:
    """More pictures than are answered at once arrive all the same; a job is followed; a running server is measured."""
    folder = run.folder
    made = run("sample", "-m", "tiny", "-n", "600", "--seed", "1", "-o", "many/", "--json")
    assert made.returncode == 0, made.stderr
    assert len(list((folder / "many").glob("*.png"))) == 600
    later = {"prefer": "respond-async", "accept": "application/json"}
    body = {"model": "tiny", "n": 600, "seed": 1}
    job = httpx.post(f"{run.address}/sample", json=body, headers=later).json()["id"]
    assert job in run("jobs", "list").stdout
    followed = run("jobs", "wait", job, "-o", "again/", "--json")
    assert len(json.loads(followed.stdout)["files"]) == 600
    measured = json.loads(run("bench", "-m", "tiny", "--seconds", "2", "--parallel", "2", "--json").stdout)
    assert measured["requests"] > 0
    assert measured["p50_ms"] <= measured["p99_ms"]
    assert run("bench", url="http://127.0.0.1:9").returncode == 3


COMMANDS = set(
    "serve worker sample upsample arithmetic walk latents directions jobs models dataset train export evaluate preview "  # noqa: SIM905
    "info doctor runtimes bench keys".split()
)


def test_every_command_is_there_with_an_example(run: Run) -> None:
    """The help lists them all, and the exit codes; each of ours shows how it is used."""
    text = run("--help").stdout
    assert {line.split()[0] for line in text.splitlines() if line.startswith("  ") and line.strip()} >= COMMANDS
    assert "Exit codes: 0" in " ".join(text.split())
    for command in ("sample", "upsample", "bench", "doctor", "runtimes", "preview", "jobs dead", "keys add"):
        shown = " ".join(run(*command.split(), "--help").stdout.split())
        assert f"Example: ganymede {command}" in shown, command


def test_what_an_operator_asks_is_there_as_json(run: Run) -> None:
    """Dead jobs, the queue's figures and the names of keys, for scripts; a key's secret is nowhere in the list."""
    assert json.loads(run("jobs", "dead", "--json").stdout) == []
    assert json.loads(run("jobs", "requeue", "all", "--json").stdout) == {"requeued": []}
    assert json.loads(run("jobs", "stats", "--json").stdout)["workers"] >= 1
    secret = run("keys", "add", "ada", "--file", "keys.toml").stdout.strip()
    listed = run("keys", "list", "--file", "keys.toml", "--json").stdout
    assert json.loads(listed) == [{"name": "ada", "scopes": ["sample"], "per_minute": 600}]
    assert secret not in listed


def test_doctor_reports(run: Run) -> None:
    """Every check has a line, and the JSON says what is fine."""
    found = json.loads(run("doctor", "--json").stdout)
    assert {"Python", "ONNX Runtime", "Redis", "Address", "Bundles"} <= {row["what"] for row in found}


def test_runtimes_are_measured_and_remembered(run: Run, bundle_folder: Path) -> None:
    """A table for people, rows for scripts; the second time nothing is measured."""
    words = ("runtimes", str(bundle_folder / "tiny"), "--threads", "1", "--data-dir", "measured")
    first = run(*words)
    assert first.returncode == 0, first.stderr
    assert "verdict" in first.stdout
    found = json.loads(run(*words, "--json").stdout)
    assert found["bundle"].startswith("tiny@")
    assert len(found["levels"]) == 1
    assert json.loads(run(*words, "--json").stdout) == found
    missing = run("runtimes", "nothing")
    assert missing.returncode == 1
    assert "there is no bundle" in missing.stderr
