"""What a command says and writes: results on stdout, everything else on stderr; failures as one sentence."""

import json as jsons
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import typer

STANDARD = Path("-")
"""The name that stands for the standard stream."""
QUIET, JSON = "GANYMEDE_QUIET", "GANYMEDE_JSON"
"""How --quiet and --json are told to commands of other packages, and to processes that a command starts."""


def set_output(*, quiet: bool, json: bool) -> None:
    """How this command shall speak: `quiet` without notes, bars and lines about what was done, `json` for scripts."""
    os.environ[QUIET], os.environ[JSON] = "1" if quiet else "", "1" if json else ""


def is_quiet() -> bool:
    """Whether --quiet was given."""
    return bool(os.environ.get(QUIET))


def is_json() -> bool:
    """Whether --json was given."""
    return bool(os.environ.get(JSON))


def show(found: Any, line: str) -> None:
    """The answer itself, on stdout: JSON for scripts, a line for people unless it is empty."""
    if is_json():
        typer.echo(jsons.dumps(found))
    elif line:
        typer.echo(line)


def report(found: Any, line: str, *, to_stdout: bool = True) -> None:
    """What was done. Quiet leaves the line out; it goes to stderr where stdout carries a picture."""
    if is_json() and to_stdout:
        typer.echo(jsons.dumps(found))
    elif line and not is_quiet():
        typer.echo(line, err=not to_stdout)


def counted(count: int, thing: str) -> str:
    """For example `1 file`, `2 files`."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def note(sentence: str) -> None:
    """A word on stderr, so that stdout stays clean."""
    if not is_quiet():
        typer.secho(sentence, err=True, dim=True)


def fail(sentence: str, code: int = 1) -> NoReturn:
    """Say what is wrong on stderr and exit."""
    typer.secho(f"ganymede: {sentence}", err=True, fg="red")
    raise typer.Exit(code)


def write(path: Path, data: bytes) -> None:
    """Write a file, all of it or nothing; `-` is stdout. A folder that does not exist is a clear sentence."""
    if path == STANDARD:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    with replacing(path) as unfinished:
        unfinished.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Another file beside it, which takes its place once it is written; what goes wrong is a clear sentence."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        yield unfinished
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
