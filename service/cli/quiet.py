"""`--quiet` for every command, those of other packages included: added here once instead of written into each."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from service.cli.output import be_quiet

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No bars, notes or lines about what was done.")]


def add_quiet(app: typer.Typer) -> None:
    """Give --quiet to every command of an application and its groups that has none of its own."""
    for command in app.registered_commands:
        if command.callback is not None and "quiet" not in inspect.signature(command.callback).parameters:
            command.callback = _quietly(command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            add_quiet(group.typer_instance)


def _quietly(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def command(*args: Any, quiet: bool = False, **options: Any) -> Any:
        be_quiet(quiet)
        return callback(*args, **options)

    plain = inspect.signature(callback, eval_str=True)  # typer reads options from the annotations, not from their text
    own = inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Quiet)
    command.__signature__ = plain.replace(parameters=[*plain.parameters.values(), own])  # type: ignore[attr-defined]
    command.__annotations__ = {**get_type_hints(callback, include_extras=True), "quiet": Quiet}
    return command
