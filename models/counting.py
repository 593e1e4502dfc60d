"""Long loops of a command as a person sees them: a bar with time left on a terminal, plain lines in a pipe, else nothing.

A loop says `for part in counted(parts, "samples", total): …`, wherever it stands; a command says `with showing(console, …)`.
A process whose caller shows what it counts says `with telling(…)`, and the caller hands on what it hears to `tell`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

FIRST_LINE_S, LINE_EVERY_S = 1.0, 5.0
T = TypeVar("T")
Tell = Callable[[str, int, int], None]
"""Told what is counted, how many are done and of how many; as many as there are: the loop has ended."""
_NOW: ContextVar[Tell | None] = ContextVar("told", default=None)


def counted(parts: Iterable[T], what: str, total: int) -> Iterator[T]:
    """The parts themselves, counted where someone watches. `what`: of which there are `total`, as "samples drawn"."""
    return iter(parts) if _NOW.get() is None else _followed(parts, what, total)


def _followed(parts: Iterable[T], what: str, total: int) -> Iterator[T]:
    tell(what, 0, total)
    try:
        for done, part in enumerate(parts, 1):
            yield part
            tell(what, min(done, total), total)
    finally:
        tell(what, total, total)


def tell(what: str, done: int, total: int) -> None:
    """So many are done, to whoever watches."""
    told = _NOW.get()
    if told is not None:
        told(what, done, total)


@contextmanager
def telling(told: Tell) -> Iterator[None]:
    """Loops inside are counted to `told`."""
    token = _NOW.set(told)
    try:
        yield
    finally:
        _NOW.reset(token)


@contextmanager
def showing(console: Console, working: str) -> Iterator[None]:
    """Loops inside are shown on the console; between them only that work goes on, as `working` says."""
    shown = _Shown(console)
    with shown.bar, telling(shown.tell):
        shown.bar.add_task(working, total=None)
        yield


class _Shown:
    """Bars of the loops under way, or their lines."""

    def __init__(self, console: Console) -> None:
        # here, as only commands that people watch need it
        from rich import progress as bars

        # what goes to stdout is the answer: it stays there when only stderr is a terminal
        self.bar = bars.Progress(
            bars.SpinnerColumn(),
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._console = console
        self._loops: dict[str, tuple[TaskID, float]] = {}
        self._said = time.monotonic() + FIRST_LINE_S - LINE_EVERY_S

    def tell(self, what: str, done: int, total: int) -> None:
        """Moves a loop's bar, or says a line when it is time; the bar of one that has ended goes."""
        if done == total:
            if what in self._loops:
                self.bar.remove_task(self._loops.pop(what)[0])
            return
        if what not in self._loops:
            self._loops[what] = self.bar.add_task(what, total=total), time.monotonic()
        task, begun = self._loops[what]
        self.bar.update(task, completed=done)
        if done:
            self._line(what, done, total, time.monotonic() - begun)

    def _line(self, what: str, done: int, total: int, seconds: float) -> None:
        if self._console.is_terminal or time.monotonic() - self._said < LINE_EVERY_S:
            return
        self._said = time.monotonic()
        left = f"{seconds / done * (total - done):.0f} s left"
        self._console.print(f"{what}: {done} of {total}, {left}", soft_wrap=True, markup=False, highlight=False)
