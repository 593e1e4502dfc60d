"""How the commands speak to a person: one console on stderr, and errors as sentences."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import typer
from rich.console import Console

from models.errors import ModelsError
from training.errors import TrainingError

console = Console(stderr=True)


def is_quiet() -> bool:
    """Whether --quiet was given; the console script says so in the environment."""
    return bool(os.environ.get("GANYMEDE_QUIET"))


@contextmanager
def explained(working: str = "") -> Iterator[None]:
    """Our own errors become a sentence and exit code 1; everything else is a bug and shows itself.

    `working`: what takes more than a second, shown on a terminal while it does.
    """
    try:
        with console.status(working) if working and not is_quiet() else nullcontext():
            yield
    except (TrainingError, ModelsError) as error:
        console.print(f"ganymede: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
