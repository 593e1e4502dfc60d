"""How the commands speak: answers on stdout, everything else on stderr, errors as sentences.

The console script gives every command --quiet and --json and says in the environment which were given.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import typer
from rich.console import Console

from models.counting import showing
from models.errors import ModelsError
from training.errors import TrainingError


def console() -> Console:
    """Where everything goes that is no answer."""
    return Console(stderr=True)


def is_quiet() -> bool:
    """Whether --quiet was given."""
    return bool(os.environ.get("GANYMEDE_QUIET"))


def is_json() -> bool:
    """Whether --json was given."""
    return bool(os.environ.get("GANYMEDE_JSON"))


def answer(found: Any, *lines: str) -> None:
    """What was asked for, on stdout: one line of JSON for scripts, lines for people."""
    for line in [json.dumps(found, default=str)] if is_json() else lines:
        typer.echo(line)


def note(sentence: str) -> None:
    """How it goes, on stderr."""
    if not is_quiet():
        typer.echo(sentence, err=True)


@contextmanager
def explained(working: str = "") -> Iterator[None]:
    """Our own errors become a sentence and exit code 1; everything else is a bug and shows itself.

    `working`: what takes more than a second, shown on a terminal with the loops it counts, said in a pipe.
    """
    try:
        if working and not console().is_terminal:
            note(f"{working} …")
        with showing(console(), working) if working and not is_quiet() else nullcontext():
            yield
    except (TrainingError, ModelsError) as error:
        console().print(f"ganymede: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
