"""The console script: our commands and those that other packages register.

Exit codes: 0 done · 1 refused or failed, with one sentence · 2 wrong usage or a wrong setting · 3 the server cannot be reached.
"""

import os
import sys
from importlib import import_module
from importlib.metadata import entry_points

import typer

from service.cli.application import app
from service.cli.common_options import add_common_options
from service.cli.output import fail

OURS = (
    *("serve", "pictures", "sample", "upsample", "classify", "project", "redo", "info", "latents", "jobs", "login"),
    *("worker", "admin", "imports", "doctor", "runtimes", "bench"),
)
COMPLETING = "_GANYMEDE_COMPLETE"
SHARED = (("directions",), ("models", "compact"), ("models", "torchscript"))
"""First words, in groups of ours, that may be commands of another package."""
TRAINING_COMMANDS = ("train", "export", "average", "preview", "evaluate", "classifier", "dataset")


def main() -> None:
    """Run a command. A server starts without what only other commands need; other packages wait until they are asked.

    Theirs may import torch, which costs seconds and 200 MB.
    """
    words = _words()
    if words[:1] == ["serve"]:
        import_module("service.cli.serve")
    else:
        register_ours()
        if not _is_ours(words):
            register_foreign() if _needs_foreign(words) else _name_foreign()
    add_common_options(app)
    app()


def _words() -> list[str]:
    """The words of the command; what is typed so far when the shell asks for completions."""
    if COMPLETING not in os.environ:
        return sys.argv[1:]
    return os.environ.get("COMP_WORDS", os.environ.get("_TYPER_COMPLETE_ARGS", "")).split()[1:]


def _needs_foreign(words: list[str]) -> bool:
    """Completing the first word needs the names alone, and not what the commands import."""
    return COMPLETING not in os.environ or bool({*words[:1]} & {*TRAINING_COMMANDS, *(first for first, *_ in SHARED)})


def _name_foreign() -> None:
    for name in TRAINING_COMMANDS:
        app.command(name)(lambda: None)


def register_ours() -> None:
    """The commands of this package: each file adds its own when it is imported."""
    for name in OURS:
        import_module(f"service.cli.{name}")


def register_foreign() -> None:
    """The commands other packages register."""
    for point in entry_points(group="ganymede.commands"):
        try:
            _merge(point.load())
        except ImportError as error:
            _explain_missing(error.name or "torch")


def _is_ours(words: list[str]) -> bool:
    """Whether the first words name a command of this package alone."""
    own = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    groups = {group.name for group in app.registered_groups}
    shared = any(words[: len(others)] == list(others) for others in SHARED) or words[1:2] == ["--help"]
    return bool(words) and (words[0] in own or (words[0] in groups and not shared))


def _merge(other: typer.Typer) -> None:
    """Add another package's commands; groups of the same name (`directions`) become one."""
    ours = {group.name: group.typer_instance for group in app.registered_groups}
    app.registered_commands += other.registered_commands
    for group in other.registered_groups:
        mine = ours.get(group.name)
        if mine is None or group.typer_instance is None:
            app.registered_groups.append(group)
        else:
            mine.registered_commands += group.typer_instance.registered_commands


def _explain_missing(module: str) -> None:
    """The training commands stay visible without their libraries, and say what to install."""
    for name in TRAINING_COMMANDS:
        app.command(name, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(
            _missing(name, module)
        )


def _missing(name: str, module: str):  # type: ignore[no-untyped-def]
    def command(context: typer.Context) -> None:
        fail(f"`{name}` needs {module}, which is not installed: pip install 'ganymede[train]'")

    command.__doc__ = "Needs the training libraries: pip install 'ganymede[train]'"
    return command
