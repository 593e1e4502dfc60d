"""`--quiet` and `--json` for every command, those of other packages included: added here once instead of written into each."""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any, get_type_hints

import typer

from service.cli.output import JSON, QUIET, set_output

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", envvar=QUIET, help="No bars, notes or lines about what was done.")
]
Json = Annotated[
    bool, typer.Option("--json", envvar=JSON, help="The answer as JSON on stdout, and nothing else there.")
]
OPTIONS = {"quiet": Quiet, "json": Json}


def commands(app: typer.Typer) -> Iterator[typer.models.CommandInfo]:
    """All commands of an application and its groups."""
    yield from app.registered_commands
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from commands(group.typer_instance)


def add_common_options(app: typer.Typer) -> None:
    """Give both options to every command that does not have them yet."""
    for command in commands(app):
        if command.callback is not None and "quiet" not in inspect.signature(command.callback).parameters:
            command.callback = _with_options(command.callback)


def _with_options(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def command(*args: Any, quiet: bool = False, json: bool = False, **options: Any) -> Any:
        set_output(quiet=quiet, json=json)
        return callback(*args, **options)

    plain = inspect.signature(callback, eval_str=True)  # typer reads options from the annotations, not from their text
    own = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in OPTIONS.items()
    ]
    command.__signature__ = plain.replace(parameters=[*plain.parameters.values(), *own])  # type: ignore[attr-defined]
    command.__annotations__ = {**get_type_hints(callback, include_extras=True), **OPTIONS}
    return command
