"""What a command says: results on stdout, everything else on stderr; bars on a terminal, plain lines in a pipe."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from service.cli.serve import fail

STANDARD = Path("-")
"""The name that stands for the standard stream."""
FIRST_LINE_S, LINE_EVERY_S = 1.0, 5.0


class _Quiet:
    """Whether --quiet was given."""

    on = False


def be_quiet(wanted: bool) -> None:
    """No notes, no bars, no lines about what was written; errors and JSON stay."""
    _Quiet.on = wanted


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


class Pace(ProgressColumn):
    """How many a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """For example `12.3 pictures/s`."""
        return Text("" if not task.speed else f"{task.speed:.1f} {self._unit}/s")


class Bar:
    """Progress of one piece of work; `total` may be unknown, and be corrected on the way."""

    def __init__(self, what: str, total: int | None, unit: str, shown: Progress | None) -> None:
        self.what, self.total, self.unit, self.done = what, total, unit, 0
        self._shown = shown
        self._task = None if shown is None else shown.add_task(what, total=total)
        self._begun = time.monotonic()
        self._said = self._begun + FIRST_LINE_S - LINE_EVERY_S

    def advance(self, count: int = 1) -> None:
        """So many more are done."""
        self.reach(self.done + count)

    def reach(self, done: int, total: int | None = None) -> None:
        """So many are done by now."""
        self.done, self.total = done, total or self.total
        if self._shown is not None and self._task is not None:
            self._shown.update(self._task, completed=done, total=self.total)
        elif not is_quiet() and time.monotonic() - self._said >= LINE_EVERY_S:
            self._said = time.monotonic()
            typer.echo(self._line(), err=True)

    def _line(self) -> str:
        seconds = time.monotonic() - self._begun
        pace = self.done / seconds
        of = f" of {self.total}" if self.total else ""
        left = f", {(self.total - self.done) / pace:.0f} s left" if self.total and pace else ""
        return f"{self.what}: {self.done}{of} {self.unit}, {pace:.1f}/s{left}"


@contextmanager
def bar(what: str, total: int | None, unit: str) -> Iterator[Bar]:
    """A bar on a terminal; in a pipe a line after a second and then every five; nothing when quiet."""
    console = Console(stderr=True)
    if is_quiet() or not console.is_terminal:
        yield Bar(what, total, unit, None)
        return
    text = TextColumn("{task.description} {task.completed:.0f}/{task.total}" if total else "{task.description}")
    with Progress(text, BarColumn(), Pace(unit), TimeRemainingColumn(), console=console, transient=True) as shown:
        yield Bar(what, total, unit, shown)
