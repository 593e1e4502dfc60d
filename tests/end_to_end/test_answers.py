"""--json and --quiet on every command: stdout is what a script reads, and nothing else."""

import json
import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from PIL import Image

from service.cli.application import app
from tests.end_to_end import command
from tests.end_to_end.processes import command as serving
from tests.end_to_end.processes import environment, running
from tests.training.pictures import make_pictures, tiny_overrides

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
SHOWN = {
    "info": ["info", "s.png"],
    "models": ["models"],
    "models list": ["models", "list", "tiny"],
    "classify": ["classify", "s.png"],
    "features": ["features", "s.png", "-m", "tiny"],
    "latents list": ["latents", "list"],
    "directions list": ["directions", "list", "-m", "tiny"],
    "jobs list": ["jobs", "list"],
    "jobs dead": ["jobs", "dead"],
    "jobs stats": ["jobs", "stats"],
    "keys list": ["keys", "list", "--file", "keys.toml"],
    "open": ["open", "--print"],
    "serve": ["serve", "--dry-run"],
    "import": ["import", "level-0.onnx", "--dry-run"],
    "bench": ["bench", "-m", "tiny", "--seconds", "1", "--parallel", "1"],
    "train": ["train", "faces64-2016", "--dry-run"],
    "dataset check": ["dataset", "check", "pictures"],
    "preview": ["preview", "tiny", "--out", "sheet.png"],
}
"""Commands whose answer is a text: --json gives it as one document, --quiet leaves it as it is."""
DONE = {
    "sample": ["sample", "-m", "tiny", "-n", "2", "-o", "a.png"],
    "sample, a set": ["sample", "-m", "tiny", "-n", "70", "--seed", "1", "-o", "set{k}.zip"],
    "arithmetic": ["arithmetic", "seed(1)", "-m", "tiny", "-o", "b.png"],
    "walk": ["walk", "1", "2", "-m", "tiny", "--frames", "3", "-o", "c.webp"],
    "redo": ["redo", "s.png", "-o", "d.png"],
    "upsample": ["upsample", "s.png", "-m", "tiny-lapgan", "-o", "e.png"],
    "project": ["project", "s.png", "-m", "tiny", "--steps", "10", "--restarts", "1", "-o", "f.png"],
    "classify to a file": ["classify", "s.png", "-o", "rows{k}.ndjson"],
    "logout": ["logout"],
}
"""Commands whose answer is a file: --json says which, --quiet says nothing."""


@pytest.fixture(scope="module")
def run(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """`run("sample", "--json")` in a folder with a save file, keys and pictures, against a server."""
    folder = tmp_path_factory.mktemp("answers")
    with running(folder, bundle_folder, GANYMEDE_DEFAULT_MODEL="tiny") as (_, address):
        settings = environment(folder, GANYMEDE_URL=address, GANYMEDE_CLIENT_CONFIG=str(folder / "client.toml"))

        def execute(*words: str) -> "subprocess.CompletedProcess[bytes]":
            return command.execute(words, folder, settings)

        (folder / "tiny").symlink_to(bundle_folder / "tiny")
        (folder / "level-0.onnx").symlink_to(bundle_folder / "tiny" / "level-0.onnx")
        (folder / "pictures").mkdir()
        Image.new("RGB", (64, 64), "teal").save(folder / "pictures" / "a.png")
        execute("sample", "-m", "tiny", "--seed", "3", "-o", "s.png")
        execute("keys", "add", "ada", "--file", "keys.toml")
        yield execute


def test_every_command_takes_both() -> None:
    """Of this package and of the training package, in every group."""
    command.application()
    found = dict(command.leaves(typer.main.get_command(app)))
    assert {"serve", "train", "inside forget", "models compact", "directions learn", "latents import"} <= found.keys()
    for name, one in found.items():
        options = {word for parameter in one.params for word in parameter.opts}
        assert {"--json", "--quiet", "-q"} <= options, name


@pytest.mark.parametrize("name", SHOWN)
def test_answers_that_are_texts(run: Run, name: str) -> None:
    """One JSON document; quiet or not the same text for people, and quiet nothing on stderr."""
    answer = run(*SHOWN[name], "--json")
    assert answer.returncode == 0, answer.stderr
    json.loads(answer.stdout)
    assert answer.stdout.count(b"\n") == 1
    quiet = run(*SHOWN[name], "--quiet")
    assert quiet.stdout.strip()
    assert quiet.stderr == b""


@pytest.mark.parametrize("name", DONE)
def test_answers_that_are_files(run: Run, name: str) -> None:
    """One JSON document; quiet says nothing anywhere."""
    words = [[word.replace("{k}", str(k)) for word in DONE[name]] for k in range(2)]
    answer = run(*words[0], "--json")
    assert answer.returncode == 0, answer.stderr
    assert isinstance(json.loads(answer.stdout), dict)
    quiet = run(*words[1], "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, b"", b"")


def test_a_refusal_leaves_stdout_empty(run: Run) -> None:
    """The sentence is on stderr, quiet or not, and the exit code says it."""
    for words in (["sample", "-m", "nothing"], ["info", "keys.toml"], ["export", "nowhere"], ["compare", "tiny"]):
        refused = run(*words, "--quiet")
        assert (refused.returncode, refused.stdout) == (1, b""), words
        assert refused.stderr.strip()


def test_training_speaks_in_lines_of_json(run: Run, tmp_path: Path) -> None:
    """`train` says where the run is when it begins and how it ended; `export` one document; progress stays on stderr."""
    make_pictures(tmp_path / "pictures", count=8, side=16)
    small = [*tiny_overrides(tmp_path / "pictures", run__steps=2), "--run", str(tmp_path / "run")]
    trained = run("train", "dcgan-modern", *small, "--json")
    assert trained.returncode == 0, trained.stderr
    begun, ended = (json.loads(line) for line in trained.stdout.splitlines())
    assert begun["run"] == ended["run"] == str(tmp_path / "run")
    assert begun["page"].startswith("file://")
    assert (ended["step"], ended["complete"]) == (2, True)
    assert run("train", "--resume", str(tmp_path / "run"), "run.steps=3", "--quiet").stderr == b""
    exported = json.loads(run("export", str(tmp_path / "run"), "--out", str(tmp_path / "out"), "--json").stdout)
    assert exported["folder"] == str(tmp_path / "out" / "dcgan-modern")
    assert exported["checks"]
    page = run("compare", exported["folder"], exported["folder"], "-o", str(tmp_path / "page.html"), "--json")
    assert json.loads(page.stdout)["page"] == (tmp_path / "page.html").as_uri()


def begun_on_terminal(words: list[str], folder: Path) -> tuple[bytes, bytes]:
    """The first line on stdout, which is a pipe, and what a terminal was shown until then by a command that never ends."""
    ours, theirs = pty.openpty()
    settings = environment(folder, TERM="xterm")
    with subprocess.Popen(words, env=settings, stdout=subprocess.PIPE, stderr=theirs, cwd=folder) as process:
        os.close(theirs)
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
        return line, command.Drawn(ours).end()


def test_a_first_start_shows_a_bar_on_a_terminal(bundle_folder: Path, tmp_path: Path) -> None:
    """Bundles are counted while they are opened; log lines stand above the bar; the address is the only thing on stdout."""
    line, shown = begun_on_terminal(serving("--bundles", str(bundle_folder), "--json"), tmp_path)
    assert json.loads(line)["url"].startswith("http://127.0.0.1:")
    assert b"opening bundles" in shown
    assert b"3/3" in shown
