"""What a command says and writes: results on stdout, everything else on stderr."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import typer

from service.cli.serve import fail

STANDARD = Path("-")
"""The name that stands for the standard stream."""
QUIET = "GANYMEDE_QUIET"


class _Quiet:
    """Whether --quiet was given."""

    on = False


def be_quiet(wanted: bool) -> None:
    """No notes, no bars, no lines about what was written; errors and JSON stay."""
    _Quiet.on = wanted
    os.environ[QUIET] = "1" if wanted else ""  # for commands of other packages


def is_quiet() -> bool:
    """Whether --quiet was given."""
    return _Quiet.on


def show(found: Any, as_json: bool, line: str) -> None:
    """JSON for scripts, a line for people: the answer itself, on stdout."""
    typer.echo(json.dumps(found) if as_json else line)


def report(found: Any, as_json: bool, line: str, *, to_stdout: bool = True) -> None:
    """What was done. Quiet leaves the line out; it goes to stderr where stdout carries a picture."""
    if as_json and to_stdout:
        typer.echo(json.dumps(found))
    elif not is_quiet():
        typer.echo(line, err=not to_stdout)


def note(sentence: str) -> None:
    """A word on stderr, so that stdout stays clean."""
    if not is_quiet():
        typer.secho(sentence, err=True, dim=True)


def write(path: Path, data: bytes) -> None:
    """Write a file, all of it or nothing; `-` is stdout. A folder that does not exist is a clear sentence."""
    if path == STANDARD:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")


def read(path: Path) -> bytes:
    """Read a file of the user's; `-` is stdin. One that cannot be read is a clear sentence."""
    if path == STANDARD:
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        fail(f"cannot read {path}: {error.strerror}")
