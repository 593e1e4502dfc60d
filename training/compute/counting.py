"""Long loops of a command as a person sees them: a bar with time left on a terminal, plain lines in a pipe, else nothing.

A loop says `for part in counted(parts, "samples", total): …`, wherever it stands; a command says `with showing(console, …)`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

FIRST_LINE_S, LINE_EVERY_S = 1.0, 5.0
T = TypeVar("T")


class _Shown:
    """Bars of the loops under way, or their lines."""

    def __init__(self, console: Console) -> None:
        self.console = console
        columns = (
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        # what goes to stdout is the answer: it stays there when only stderr is a terminal
        self.bar = Progress(
            *columns,
            console=console,
            transient=True,
            disable=not console.is_terminal,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._said = time.monotonic() + FIRST_LINE_S - LINE_EVERY_S

    def follow(self, parts: Iterable[T], what: str, total: int) -> Iterator[T]:
        """The parts, and how many have gone."""
        task, begun = self.bar.add_task(what, total=total), time.monotonic()
        try:
            for done, part in enumerate(parts, 1):
                yield part
                self.bar.update(task, completed=done)
                self._line(what, done, total, time.monotonic() - begun)
        finally:
            self.bar.remove_task(task)

    def _line(self, what: str, done: int, total: int, seconds: float) -> None:
        if self.console.is_terminal or time.monotonic() - self._said < LINE_EVERY_S:
            return
        self._said = time.monotonic()
        left = f"{seconds / done * (total - done):.0f} s left"
        self.console.print(f"{what}: {done} of {total}, {left}", soft_wrap=True, markup=False, highlight=False)


_NOW: ContextVar[_Shown | None] = ContextVar("shown", default=None)


def counted(parts: Iterable[T], what: str, total: int) -> Iterator[T]:
    """The parts themselves, counted where someone watches. `what`: of which there are `total`, as "samples drawn"."""
    shown = _NOW.get()
    return iter(parts) if shown is None else shown.follow(parts, what, total)


@contextmanager
def showing(console: Console, working: str) -> Iterator[None]:
    """Loops inside are shown on the console; between them only that work goes on, as `working` says."""
    shown = _Shown(console)
    with shown.bar:
        shown.bar.add_task(working, total=None)
        token = _NOW.set(shown)
        try:
            yield
        finally:
            _NOW.reset(token)
