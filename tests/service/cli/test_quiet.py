"""--quiet is added to a command without taking anything from it."""

from __future__ import annotations  # as in the training commands: annotations are text until somebody evaluates them

from typing import Annotated

import typer
from typer.testing import CliRunner

from service.cli.output import is_quiet
from service.cli.quiet import add_quiet


def test_arguments_and_options_stay() -> None:
    """Further arguments, short options and --quiet are all understood."""
    app, seen = typer.Typer(), []

    @app.command()
    def train(
        recipe: str,
        overrides: Annotated[list[str] | None, typer.Argument(help="key=value")] = None,
        out: Annotated[str, typer.Option("--out", "-o")] = "runs",
    ) -> None:
        """Train."""
        seen.append((recipe, overrides, out, is_quiet()))

    add_quiet(app)
    for words in (["faces64", "run.steps=1", "data.size=64", "-o", "x"], ["faces64", "--quiet"]):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
    assert seen == [("faces64", ["run.steps=1", "data.size=64"], "x", False), ("faces64", None, "runs", True)]
