"""Every example in every --help text works as printed, but for the names of bundles, files and addresses."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import typer
from PIL import Image

from service.cli import main
from tests.end_to_end import command
from tests.end_to_end.processes import environment, running

BUNDLES = {"faces64": "tiny", "mnist-ssl": "tiny", "dir(smiling)": "seed(4)", "photo.jpg --factor 4": "photo.jpg"}
"""What stands for a shipped bundle, and for what only it has."""
SHORTER = {"--seconds 10": "--seconds 2", "project me.jpg": "project me.jpg --steps 10 --restarts 1"}
ELSEWHERE = {
    "serve": "tests/end_to_end/test_server.py and test_imports start it",
    "worker": "tests/end_to_end/test_processes.py starts it",
    "import": "tests/models/imports",
    "train": "tests/end_to_end/test_training.py",
    "export": "tests/end_to_end/test_training.py",
    "evaluate": "tests/training/evaluate/test_command.py",
    "models compact": "tests/training/export/test_sharing.py",
    "models torchscript": "tests/training/export/test_sharing.py",
    "compare": "tests/training/evaluate/test_compare.py",
    "preview": "tests/training/cli/test_commands.py",
    **dict.fromkeys(
        ("dataset check", "classifier train", "classifier agreement", "directions learn"),
        "tests/training/cli/test_commands.py",
    ),
    **dict.fromkeys(("inside guided", "inside features", "inside forget"), "tests/training/cli/test_commands.py"),
    "open": "would open a browser: --print in test_many_files.py",
}
"""Examples that would run for hours, for ever, or outside this machine, and who runs them instead."""


def examples(app: typer.Typer, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(command, example) of all of an application's commands."""
    for row in app.registered_commands:
        assert row.callback is not None
        name = row.name or row.callback.__name__.replace("_", "-")
        for text in re.findall(r"Example: (.+)", row.callback.__doc__ or ""):
            yield " ".join((*path, name)), text.strip().rstrip(".")
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from examples(group.typer_instance, (*path, group.name or ""))


@pytest.fixture(scope="module")
def server(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("examples")
    with running(folder, bundle_folder, GANYMEDE_DEFAULT_MODEL="tiny") as (_, address):
        yield address, folder


def furnish(folder: Path, settings: dict[str, str]) -> str:
    """The files and saved latents the examples speak of; the id of a job."""
    for name in ("photo.jpg", "me.jpg", "pics/a.png", "digits/7.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (16, 16), "teal").save(folder / name)

    def run(*words: str) -> str:
        done = command.execute(words, folder, settings)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    run("sample", "-m", "tiny", "-n", "4", "--seed", "7", "-o", "faces.png")
    run("latents", "save", "woman_1", "--seed", "1", "-m", "tiny")
    run("latents", "export", "all.ndjson")
    run("latents", "delete", "woman_1")  # an example saves it
    run("keys", "add", "bob", "--file", "keys.toml")
    later = {"prefer": "respond-async, wait=60", "accept": "application/json"}
    httpx.post(f"{settings['GANYMEDE_URL']}/sample", json={"model": "tiny", "n": 3}, headers=later, timeout=90)
    return str(json.loads(run("jobs", "list", "--json"))["data"][0]["id"])


def test_every_example_works(server: tuple[str, Path], bundle_folder: Path) -> None:
    """In the order of the help; those that need an hour or another machine are run elsewhere, by name."""
    address, folder = server
    settings = environment(folder, GANYMEDE_URL=address, GANYMEDE_CLIENT_CONFIG=str(folder / "client.toml"))
    command.application()
    job = furnish(folder, settings)
    found = dict(examples(main.app))
    assert len(found) > 25
    for name, example in found.items():
        if name in ELSEWHERE:
            continue
        for old, new in {**BUNDLES, **SHORTER}.items():
            example = example.replace(old, new)
        example = example.replace("http://127.0.0.1:8000", address).replace("0198f2…", job)
        example = example.replace("photo-x2", str(bundle_folder / "tiny"))
        words = shlex.split(example)
        assert words.pop(0) == "ganymede", name
        assert words[0] == name.split()[0], f"the example of {name} is one of something else"
        if name == "latents delete":
            words[-1] = "ann"
        done = command.execute(tuple(words), folder, settings)
        assert (done.returncode, name) == (1 if name == "doctor" and done.returncode else 0, name), (words, done)


def test_every_command_has_one() -> None:
    """And no example is left out without a place where it is run."""
    command.application()
    shown = {name for name, _ in examples(main.app)}
    assert ELSEWHERE.keys() <= shown
    for name, _ in command.leaves(typer.main.get_command(main.app)):
        assert name in shown, f"{name} has no example"


def test_the_documented_commands_are_there(server: tuple[str, Path]) -> None:
    """Each command line of docs/command-line.md and docs/save-files.md parses: its options exist."""
    command.application()
    root = Path(__file__).parent.parent.parent / "docs"
    text = (root / "command-line.md").read_text() + (root / "save-files.md").read_text()
    lines = re.findall(r"^ganymede ([a-z]+)(.*)$", text, re.MULTILINE)
    assert len(lines) >= 10
    for name, rest in lines:
        help_text = command.execute((name, "--help"), server[1], environment(server[1])).stdout.decode()
        for option in re.findall(r"(?<= )(--[a-z-]+|-[a-z])(?= )", rest.partition("#")[0] + " "):
            assert option in help_text, f"{name} has no {option}"


def test_completion_is_installed_by_one_command(tmp_path: Path) -> None:
    """As documented: `ganymede --install-completion` for each shell's own script."""
    import sys

    words = [sys.executable, "-m", "service.cli", "--show-completion", "bash"]
    settings = {**environment(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shown = subprocess.run(words, env=settings, capture_output=True, text=True, timeout=250)
    assert "complete" in shown.stdout + shown.stderr
