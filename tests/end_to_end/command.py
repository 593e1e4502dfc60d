"""A command of ours in this process: what it costs to start Python is not paid for each."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from typer.testing import CliRunner

from service.cli import main
from service.cli.manners import add_manners


def application() -> None:
    """All commands, those of the training package too, as the console script has them."""
    if len(main.app.registered_commands) < 5:
        main.register_ours()
        main.register_foreign()
        add_manners(main.app)


def leaves(found: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command below one, with its words."""
    for name, one in getattr(found, "commands", {}).items():
        yield from leaves(one, (*path, name))
    if not hasattr(found, "commands"):
        yield " ".join(path), found


@contextmanager
def inside(folder: Path, settings: dict[str, str]) -> Iterator[None]:
    """This process as if it had been started in a folder with these settings."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        with mock.patch.dict(os.environ, settings, clear=True):
            yield
    finally:
        os.chdir(before)


def execute(
    words: tuple[str, ...], folder: Path, settings: dict[str, str], stdin: bytes | None = None
) -> "subprocess.CompletedProcess[bytes]":
    """`ganymede WORDS`; what it wrote, and its exit code."""
    application()
    with inside(folder, settings):
        done = CliRunner().invoke(main.app, list(words), input=stdin)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess([sys.executable, *words], done.exit_code, done.stdout_bytes, done.stderr_bytes)
