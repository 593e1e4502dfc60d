"""The console script: our commands and those that other packages register.

Exit codes: 0 done · 1 refused or failed, with one sentence · 2 wrong usage or a wrong setting · 3 the server cannot be reached.
"""

import sys
from importlib import import_module
from importlib.metadata import entry_points

import typer

from service.cli import serve

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
OTHERS = ("admin", "pictures", "latents", "jobs", "info", "imports", "doctor", "runtimes", "bench")
SHARED = (("directions",), ("models", "compact"), ("models", "torchscript"))
"""First words, in groups of ours, that may be commands of another package."""
TRAINING_COMMANDS = ("train", "export", "preview", "evaluate", "classifier", "dataset")


@app.callback()
def root() -> None:
    """Ganymede: a model server for generative adversarial networks.

    Start with:  ganymede serve        then:  ganymede sample --model faces64 -n 16 --seed 7 -o faces.png

    Exit codes: 0 done, 1 refused or failed (one sentence says why), 2 wrong usage or a wrong setting, 3 no server there.
    """


serve.register(app)


def main() -> None:
    """Run a command. A server starts without what only other commands need; other packages wait until they are asked.

    Theirs may import torch, which costs seconds and 200 MB.
    """
    if sys.argv[1:2] != ["serve"]:
        register_ours()
        if not _is_ours(sys.argv[1:]):
            register_foreign()
    app()


def register_ours() -> None:
    """The commands of this package besides `serve`."""
    for name in OTHERS:
        import_module(f"service.cli.{name}").register(app)


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
        serve.fail(f"`{name}` needs {module}, which is not installed: pip install 'ganymede[train]'")

    command.__doc__ = "Needs the training libraries: pip install 'ganymede[train]'"
    return command
