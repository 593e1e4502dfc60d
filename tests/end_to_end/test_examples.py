"""Every example in every --help text works as printed, on a terminal; long work shows there how far it is."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import httpx
import pytest
import typer

from service.cli.application import app
from tests.end_to_end import command
from tests.end_to_end.processes import ROOT, environment
from tests.end_to_end.test_answers import DONE, SHOWN
from tests.end_to_end.workbench import SMALL, Workbench

SHORTER = {
    "project": "--steps 10 --restarts 1",  # 200 steps from each of 6 starts take half a minute
    "directions straighten": "--samples 1000 --steps 20 --layers 1",  # 250,000 take minutes
    "directions learn": "--samples 2000 --tune 20",
    "evaluate": "--samples 300",
}
"""What is added to an example that would take long."""
IDS = {f"jobs {word}": "0198f2…" for word in ("show", "cancel", "wait")}
"""What stands in an example for the id of a job: with the worker's `redis://host` all that is replaced."""
COUNTED = {
    "project": "project 0/1",
    "import": "batches of 16 of the file.s pictures",
    "evaluate": "features of batches|classified batches|batches of 16",
    "compare": "bundles",
    "export": "pictures compared of",
    "train": "0/20000",
    "classifier train": "steps of the classifier",
    "classifier agreement": "classified batches",
    "models compact": "writing bundles again",
    "jobs wait": "job [0-9a-f]+",
}
"""What a terminal shows while a command that may take long is at work."""
FOR_EVER = ("serve", "worker")
QUIET = {
    "evaluate": "models/exports/mnist-gan --samples 20 --classifier mnist.safetensors --out scores",
    "train": f"fashion32 {' '.join(SMALL)} --run quiet",
    "export": "fashion --out quiet-bundles",
    "average": "quiet-mean runs/000-faces64 runs/000-faces64@2",
    "compare": "models/exports/faces64 models/exports/faces64-lapgan -o quiet.html",
    "import": "netG.pth --out quiet-bundles",
    "runtimes": "photo-x2 --threads 1",
    "doctor": "",
    "login": "http://127.0.0.1:8000",
    "models compact": "my-bundles/faces",
    "models torchscript": "my-bundles/faces --out quiet-scripts",
    "directions straighten": "models/exports/faces64 --attributes faces/attributes.csv --name smiling "
    "--classifier c.safetensors --samples 1000 --steps 20 --layers 1",
    "directions learn": "faces64 --attributes faces/attributes.csv --name smiling --classifier c.safetensors --samples 1000 "
    "--tune 9",
    "classifier train": "fashion32 --epochs 0.1 --out quiet.safetensors",
    "classifier agreement": "models/exports/fashion32 --classifier quiet.safetensors --count 20",
    "inside guided": "models/exports/fashion32 --out quiet.png --count 20",
    "inside features": "models/exports/fashion32 --train 100 --test 100",
    "inside forget": "my-bundles/faces --classifier c.safetensors --attribute smiling --out quiet.png",
    "latents save": "quiet_1 --seed 1",
    "latents rename": "quiet_1 quiet_2",
    "latents delete": "quiet_2",
    "latents export": "quiet.ndjson",
    "latents import": "all.ndjson --conflict skip",
    "jobs show": "JOB",
    "jobs cancel": "JOB",
    "jobs wait": "JOB -o quiet",
    "jobs requeue": "all",
    "keys add": "quiet --file keys.toml",
}
"""Commands that `test_answers.py` does not run; `worker` speaks as `serve` does, through the same function."""


def examples(app: typer.Typer, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(command, example) of all of an application's commands."""
    for row in app.registered_commands:
        assert row.callback is not None
        name = row.name or row.callback.__name__.replace("_", "-")
        for text in re.findall(r"Example: (.+)", row.help or row.callback.__doc__ or ""):
            yield " ".join((*path, name)), text.strip().rstrip(".")
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from examples(group.typer_instance, (*path, group.name or ""))


@pytest.fixture
def signals() -> Iterator[None]:
    """A training takes Ctrl-C for itself; afterwards it is the tests' again."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@contextmanager
def on_port_8000(address: str) -> Iterator[None]:
    """The server answers where the examples look for it."""
    host, port = address.removeprefix("http://").split(":")
    connect = socket.create_connection

    def to_ours(place: tuple[str, int], *args: object, **options: object) -> socket.socket:
        return connect((host, int(port)) if place[1] == 8000 else place, *args, **options)  # type: ignore[arg-type]

    with mock.patch("socket.create_connection", to_ours):
        yield


@contextmanager
def interrupted(begun: Path) -> Iterator[None]:
    """Ctrl-C for this process as soon as a file is there."""

    def interrupt() -> None:
        while not begun.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    waiting = threading.Thread(target=interrupt, daemon=True)
    waiting.start()
    yield
    waiting.join()


def run(bench: Workbench, name: str, example: str) -> "subprocess.CompletedProcess[bytes]":
    """The very line, as somebody types it who has not installed [pretrained]; 20,000 steps are broken off."""
    words = shlex.split(f"{example} {SHORTER.get(name, '')}".replace(IDS.get(name, "JOB"), bench.job))
    assert words.pop(0) == "ganymede", name
    assert words[0] == name.split()[0], f"the example of {name} is one of something else"
    run_folder = bench.folder / "runs/001-faces64/facts.json"
    with mock.patch("training.pretrained.lite2.available", return_value=False), on_port_8000(bench.address):
        if name == "train":
            with interrupted(run_folder):
                return command.on_terminal(tuple(words), bench.folder, bench.settings)
        return command.on_terminal(tuple(words), bench.folder, bench.settings)


@pytest.mark.usefixtures("signals")
def test_every_example_works(bench: Workbench) -> None:
    """In the order of the help, in one folder."""
    command.application()
    found = dict(examples(app))
    assert len(found) > 45
    assert found.keys() >= {*IDS, *COUNTED, *FOR_EVER}
    for name, example in found.items():
        if name in FOR_EVER:
            continue
        if name == "latents delete":  # the example before gave it another name
            bench.run("latents", "rename", "ann", "woman_1")
        done = run(bench, name, example)
        assert done.returncode == 0 or name == "doctor", (name, done)
        assert re.search(COUNTED.get(name, "").encode(), done.stderr), (name, done.stderr)
        assert b"\x1b" not in done.stdout, name  # what is drawn stays on the terminal


@pytest.mark.parametrize("name", QUIET)
@pytest.mark.usefixtures("signals")
def test_quiet_and_json_on_a_terminal(bench: Workbench, name: str) -> None:
    """Nothing is drawn, and stdout is JSON: one line, of training one when it begins and one when it ends."""
    words = (*name.split(), *QUIET[name].replace("JOB", bench.job).split(), "--quiet", "--json")
    with mock.patch("training.pretrained.lite2.available", return_value=False), on_port_8000(bench.address):
        done = command.on_terminal(words, bench.folder, bench.settings)
    assert (done.stderr, done.returncode) == (b"", done.returncode if name == "doctor" else 0)
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == (2 if name == "train" else 1)


def test_every_command_was_asked_for_both() -> None:
    """Here or among the answers."""
    command.application()
    found = {name for name, _ in command.leaves(typer.main.get_command(app))}
    assert found == {*QUIET, *(name.split(",")[0].removesuffix(" to a file") for name in (*SHOWN, *DONE)), "worker"} - {
        "models"
    }


@contextmanager
def started(bench: Workbench, words: list[str], **settings: str) -> Iterator[str]:
    """A process that runs for ever, and the line that says where it is."""
    line = [sys.executable, "-m", "service.cli", *words]
    place = {**bench.settings, "GANYMEDE_PORT": "0", **settings}
    with subprocess.Popen(line, cwd=bench.folder, env=place, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline()
        finally:
            process.terminate()


def test_examples_that_run_for_ever(bench: Workbench, tmp_path: Path) -> None:
    """Both ways to serve say where, and serve what they name; a worker beside a server takes its jobs."""
    command.application()
    found = dict(examples(app))
    file, bundles = (shlex.split(one) for one in re.split(r" +or: ", found["serve"]))
    for (_, *words), served in ((file, "netG"), (bundles, "faces")):
        with started(bench, words, GANYMEDE_DATA_DIR=str(tmp_path / served)) as line:
            address = line.split()[-1]
            names = [model["name"] for model in httpx.get(f"{address}/models").json()["data"]]
            assert served in names
    setting, _, *words = shlex.split(found["worker"])
    name, url = setting.split("=")
    assert (name, url) == ("GANYMEDE_REDIS_URL", "redis://host")
    shared = f"unix://{bench.folder.parent / 'data/redis.sock'}"
    own = {"GANYMEDE_DATA_DIR": str(tmp_path / "worker"), "GANYMEDE_BUNDLES": "served"}
    with started(bench, words, GANYMEDE_REDIS_URL=shared, **own):
        end = time.monotonic() + 30
        while json.loads(bench.run("jobs", "stats", "--json"))["workers"] != 2:
            assert time.monotonic() < end
            time.sleep(0.1)


def test_every_command_has_one() -> None:
    """No command is left without an example."""
    command.application()
    shown = {name for name, _ in examples(app)}
    for name, _ in command.leaves(typer.main.get_command(app)):
        assert name in shown, f"{name} has no example"


def test_the_documented_commands_are_there(tmp_path: Path) -> None:
    """Each command line of docs/command-line.md and docs/save-files.md parses: its options exist."""
    command.application()
    root = ROOT / "docs"
    text = (root / "command-line.md").read_text() + (root / "save-files.md").read_text()
    lines = re.findall(r"^ganymede ([a-z]+)(.*)$", text, re.MULTILINE)
    assert len(lines) >= 10
    for name, rest in lines:
        help_text = command.execute((name, "--help"), tmp_path, environment(tmp_path)).stdout.decode()
        for option in re.findall(r"(?<= )(--[a-z-]+|-[a-z])(?= )", rest.partition("#")[0] + " "):
            assert option in help_text, f"{name} has no {option}"


def test_completion_is_installed_by_one_command(tmp_path: Path) -> None:
    """As documented: `ganymede --install-completion` in a shell, and Tab knows the commands in the next one."""
    script = tmp_path / "ganymede"
    script.write_text(f"#!{sys.executable}\nfrom service.cli.main import main\nmain()\n")
    script.chmod(0o755)
    settings = {**environment(tmp_path), "HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    lines = "ganymede --install-completion\n. ~/.bashrc\nCOMP_WORDS=(ganymede upsa)\nCOMP_CWORD=1\n"
    lines += "_ganymede_completion ganymede\necho found: ${COMPREPLY[@]}"
    shown = subprocess.run(["bash", "-c", lines], env=settings, capture_output=True, text=True, timeout=250)
    assert "found: upsample\n" in shown.stdout, shown
