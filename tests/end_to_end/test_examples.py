"""Every example in every --help text works as printed; what is not is in two tables."""

import json
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch
import typer
from PIL import Image

from service.cli import main
from tests.bundles import make_tiny, make_tiny_pyramid
from tests.conftest import ROOT
from tests.end_to_end import command
from tests.end_to_end.processes import environment, running
from tests.models.imports import generators
from tests.training.pictures import make_pictures, tiny_overrides

INSTEAD = {
    "upsample": {" --factor 4": ""},  # the small pyramid has one factor
    "arithmetic": {"dir(smiling)": "seed(4)"},  # nobody learned a direction for the small bundle
    "project": {"found.png": "found.png --steps 10 --restarts 1"},
    "bench": {"--seconds 10": "--seconds 2"},
    "login": {"http://127.0.0.1:8000": "ADDRESS"},
    "train": {"run.steps=20000": "SMALL"},
    **{f"jobs {word}": {"0198f2…": "JOB"} for word in ("show", "cancel", "wait")},
}
"""All that is not run as printed: the address, a job's id, how long it takes, and what small bundles lack."""
ELSEWHERE = {
    "serve": "tests/end_to_end/processes.py",  # for ever, on a port of its own
    "worker": "tests/end_to_end/studio/test_jobs.py",  # for ever, beside a Redis
    "evaluate": "tests/training/evaluate/test_command.py",  # the data the bundle was trained on
    "classifier train": "tests/training/cli/test_commands.py",  # a data set, as all below
    "classifier agreement": "tests/training/cli/test_commands.py",
    "directions learn": "tests/training/cli/test_commands.py",
    "inside guided": "tests/training/cli/test_commands.py",
    "inside features": "tests/training/cli/test_commands.py",
    "inside forget": "tests/training/cli/test_commands.py",
}
"""Examples that run for ever or need a large data set, and the tests that run these commands with a small one."""


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
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Small bundles under the names that the examples speak of."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("served/faces64", "served/mnist-ssl", "models/exports/faces64", "models/exports/faces64-lapgan"):
        make_tiny(folder / Path(name).parent, Path(name).name)
    make_tiny(folder, "photo-x2")
    make_tiny_pyramid(folder / "served")
    with running(folder, folder / "served", GANYMEDE_DEFAULT_MODEL="faces64") as (_, address):
        yield address, folder


@pytest.fixture
def signals() -> Iterator[None]:
    """A training takes Ctrl-C for itself; afterwards it is the tests' again."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def furnish(folder: Path, settings: dict[str, str]) -> str:
    """The files and saved latents the examples speak of; the id of a job."""
    for name in ("photo.jpg", "me.jpg", "pics/a.png", "digits/7.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (16, 16), "teal").save(folder / name)
    make_pictures(folder / "my-pictures")
    torch.save(generators.example().state_dict(), folder / "netG_epoch_24.pth")

    def run(*words: str) -> str:
        done = command.execute(words, folder, settings)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    run("latents", "save", "woman_1", "--seed", "1")
    run("latents", "export", "all.ndjson")
    run("latents", "delete", "woman_1")  # an example saves it
    run("latents", "save", "ann", "--seed", "1")
    run("latents", "rename", "ann", "beth")
    run("keys", "add", "bob", "--file", "keys.toml")
    later = {"prefer": "respond-async, wait=60", "accept": "application/json"}
    httpx.post(f"{settings['GANYMEDE_URL']}/sample", json={"n": 3}, headers=later, timeout=90)
    return str(json.loads(run("jobs", "list", "--json"))["data"][0]["id"])


@pytest.mark.usefixtures("signals")
def test_every_example_works(server: tuple[str, Path]) -> None:
    """As printed, in the order of the help, in one folder, but for what stands in the two tables above."""
    address, folder = server
    settings = environment(
        folder, GANYMEDE_URL=address, GANYMEDE_CLIENT_CONFIG=str(folder / "client.toml"), BROWSER="true"
    )
    command.application()
    job = furnish(folder, settings)
    small = " ".join(tiny_overrides(Path("my-pictures"), run__steps=2, run__watch_samples=0))
    found = dict(examples(main.app))
    assert len(found) > 45
    for name, example in found.items():
        if name in ELSEWHERE:
            continue
        for old, new in INSTEAD.get(name, {}).items():
            assert old in example, f"{name} no longer says {old}"
            example = example.replace(old, new)
        words = shlex.split(example.replace("ADDRESS", address).replace("JOB", job).replace("SMALL", small))
        assert words.pop(0) == "ganymede", name
        assert words[0] == name.split()[0], f"the example of {name} is one of something else"
        if name == "latents delete":  # the example before gave it another name
            command.execute(("latents", "rename", "ann", "woman_1"), folder, settings)
        done = command.execute(tuple(words), folder, settings)
        assert (done.returncode, name) == (1 if name == "doctor" and done.returncode else 0, name), (words, done)
        if name == "export":  # what it wrote is what the examples after it speak of
            for place in ("faces64", "my-bundles/faces64"):
                shutil.copytree(folder / "models/exports/faces64", folder / place)


def test_every_command_has_one() -> None:
    """And no example is left out without a place where it is run."""
    command.application()
    shown = {name for name, _ in examples(main.app)}
    assert ELSEWHERE.keys() | INSTEAD.keys() <= shown
    for name, file in ELSEWHERE.items():
        words = re.escape('", "'.join(name.split()))
        assert re.search(f'"{words}"', (ROOT / file).read_text()), f"{file} does not run {name}"
    for name, _ in command.leaves(typer.main.get_command(main.app)):
        assert name in shown, f"{name} has no example"


def test_the_documented_commands_are_there(server: tuple[str, Path]) -> None:
    """Each command line of docs/command-line.md and docs/save-files.md parses: its options exist."""
    command.application()
    root = ROOT / "docs"
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
