"""Progress of long work: a bar on a terminal, plain lines in a pipe, nothing when quiet."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from models.counting import FIRST_LINE_S, LINE_EVERY_S, showing
from service.cli.output import is_quiet, note


class Pace(ProgressColumn):
    """How many a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """For example `12.3 pictures/s`."""
        return Text("" if not task.speed else f"{task.speed:.1f} {self._unit}/s")


class Bar:
    """Progress of one piece of work; `total` may be unknown, and be corrected on the way. `done` was done before."""

    def __init__(self, what: str, total: int | None, unit: str, shown: Progress | None, done: int = 0) -> None:
        self.what, self.total, self.unit, self.done = what, total, unit, done
        self._shown, self._before = shown, done
        self._task = None if shown is None else shown.add_task(what, total=total, completed=done)
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
        pace = (self.done - self._before) / seconds
        of = f" of {self.total}" if self.total else ""
        left = f", {(self.total - self.done) / pace:.0f} s left" if self.total and pace else ""
        return f"{self.what}: {self.done}{of} {self.unit}, {pace:.1f}/s{left}"


@contextmanager
def bar(what: str, total: int | None, unit: str, done: int = 0) -> Iterator[Bar]:
    """A bar on a terminal; in a pipe a line after a second and then every five; nothing when quiet.

    What was `done` before does not count for the pace.
    """
    console = Console(stderr=True)
    if is_quiet() or not console.is_terminal:
        yield Bar(what, total, unit, None, done)
        return
    text = TextColumn("{task.description} {task.completed:.0f}/{task.total}" if total else "{task.description}")
    with Progress(text, BarColumn(), Pace(unit), TimeRemainingColumn(), console=console, transient=True) as shown:
        yield Bar(what, total, unit, shown, done)


def follow(what: str, unit: str) -> Callable[[int, int], None]:
    """A bar moved by calls with (done, total): there from the first, gone with the last."""
    open_ = ExitStack()
    shown: list[Bar] = []

    def move(done: int, total: int) -> None:
        if not shown:
            shown.append(open_.enter_context(bar(what, total, unit)))
        shown[0].reach(done)
        if done == total:
            open_.close()

    return move


@contextmanager
def working(sentence: str) -> Iterator[None]:
    """Work that counts its own loops: their bars on a terminal, in a pipe a line after a second, nothing when quiet."""
    if is_quiet():
        yield
        return
    console = Console(stderr=True)
    later = threading.Timer(FIRST_LINE_S, note, [f"{sentence} …"])
    if not console.is_terminal:
        later.start()
    try:
        with showing(console, sentence):
            yield
    finally:
        later.cancel()
