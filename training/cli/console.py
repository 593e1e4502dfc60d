"""How the commands speak to a person: one console on stderr, and errors as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from models.errors import ModelsError
from training.errors import TrainingError

console = Console(stderr=True)


@contextmanager
def explained() -> Iterator[None]:
    """Our own errors become a sentence and exit code 1; everything else is a bug and shows itself."""
    try:
        yield
    except (TrainingError, ModelsError) as error:
        console.print(f"ganymede: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
