"""What a person sees while a run trains: a bar with ETA and numbers on a terminal, plain lines in a log file."""

from __future__ import annotations

import time
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress(Protocol):
    """Told what happens; decides how to show it."""

    def start(self, total_steps: int, done_steps: int) -> None:
        """Training begins (again) after `done_steps`."""

    def update(self, step: int, images_per_second: float, means: dict[str, float]) -> None:
        """A report: means since the last one."""

    def warn(self, message: str) -> None:
        """Something a person should look at."""

    def stop(self) -> None:
        """Training ended."""


class Silent:
    """Shows nothing: tests, and all processes but the first."""

    def start(self, total_steps: int, done_steps: int) -> None:
        """See Progress."""

    def update(self, step: int, images_per_second: float, means: dict[str, float]) -> None:
        """See Progress."""

    def warn(self, message: str) -> None:
        """See Progress."""

    def stop(self) -> None:
        """See Progress."""


class Terminal:
    """A rich progress bar; where output is no terminal, a line every `line_seconds`."""

    def __init__(self, console: Console | None = None, line_seconds: float = 20.0) -> None:
        self.console = console or Console()
        self._line_seconds, self._last_line = line_seconds, 0.0
        self._task: TaskID | None = None
        columns = (
            BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"),
        )  # fmt: skip
        self._bar = Bar(*columns, console=self.console, disable=not self.console.is_terminal)

    def start(self, total_steps: int, done_steps: int) -> None:
        """Shows the bar."""
        self._total, self._first, self._started = total_steps, done_steps, time.monotonic()
        self._task = self._bar.add_task("", total=total_steps, completed=done_steps)
        self._bar.start()

    def update(self, step: int, images_per_second: float, means: dict[str, float]) -> None:
        """Moves the bar, or prints a line when it is time."""
        text = describe(images_per_second, means)
        if self.console.is_terminal and self._task is not None:
            self._bar.update(self._task, completed=step, description=text)
        elif time.monotonic() - self._last_line >= self._line_seconds:
            self._last_line = time.monotonic()
            self.console.print(f"step {step}/{self._total}  {self._remaining(step)} left  {text}", soft_wrap=True)

    def warn(self, message: str) -> None:
        """Prints above the bar."""
        self.console.print(f"[bold yellow]warning:[/] {message}", soft_wrap=True)

    def stop(self) -> None:
        """Leaves the terminal as it was."""
        self._bar.stop()

    def _remaining(self, step: int) -> str:
        done = max(step - self._first, 1)
        seconds = (time.monotonic() - self._started) / done * (self._total - step)
        return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def describe(images_per_second: float, means: dict[str, float]) -> str:
    """One line: speed, losses, accuracies."""
    short = {
        "discriminator_loss": "D", "generator_loss": "G", "real_accuracy": "real", "fake_accuracy": "fake",
    }  # fmt: skip
    numbers = [f"{short.get(name, name)} {value:.3f}" for name, value in means.items()]
    return f"{images_per_second:.0f} images/s  " + "  ".join(numbers)
