"""A command of ours in this process: what it costs to start Python is not paid for each."""

import functools
import io
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import typer
from typer.testing import CliRunner

from service.cli import main
from service.cli.application import app
from service.cli.common_options import add_common_options


@functools.cache
def application() -> None:
    """All commands, those of the training package too, as the console script has them."""
    main.register_ours()
    main.register_foreign()
    add_common_options(app)


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
        done = CliRunner().invoke(app, list(words), input=stdin)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess([sys.executable, *words], done.exit_code, done.stdout_bytes, done.stderr_bytes)


def on_terminal(words: tuple[str, ...], folder: Path, settings: dict[str, str]) -> "subprocess.CompletedProcess[bytes]":
    """`ganymede WORDS` where stderr is a terminal, 24 by 100, and stdout a pipe; as stderr all that was drawn there."""
    application()
    ours, theirs = pty.openpty()
    drawn, answer = Drawn(ours), io.TextIOWrapper(io.BytesIO(), write_through=True)
    settings = {**settings, "TERM": "xterm", "COLUMNS": "100"}
    with os.fdopen(theirs, "w") as there, inside(folder, settings), redirect_stdout(answer), redirect_stderr(there):
        code = _exit_code(words)
    return subprocess.CompletedProcess([*words], int(code or 0), answer.buffer.getvalue(), drawn.end())


def _exit_code(words: tuple[str, ...]) -> Any:
    try:
        return typer.main.get_command(app).main(list(words))
    except SystemExit as ended:
        return ended.code


class Drawn:
    """What comes out of a terminal, read all the time so that nobody waits to write."""

    def __init__(self, ours: int) -> None:
        self._ours, self._drawn = ours, b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        try:
            while piece := os.read(self._ours, 65536):
                self._drawn += piece
        except OSError:  # the other end is closed
            os.close(self._ours)

    def end(self) -> bytes:
        """All of it, when the other end is closed."""
        self._reader.join()
        return self._drawn
