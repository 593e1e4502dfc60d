"""--quiet and --json are added to a command without taking anything from it."""

from __future__ import annotations  # as in the training commands: annotations are text until somebody evaluates them

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from service.cli.common_options import add_common_options
from service.cli.output import JSON, QUIET, is_json, is_quiet


def test_arguments_and_options_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Further arguments, short options and the added ones are all understood; each command begins anew."""
    app, seen = typer.Typer(), []

    @app.command()
    def train(
        recipe: str,
        overrides: Annotated[list[str] | None, typer.Argument(help="key=value")] = None,
        out: Annotated[str, typer.Option("--out", "-o")] = "runs",
    ) -> None:
        """Train."""
        seen.append((recipe, overrides, out, is_quiet(), is_json()))

    add_common_options(app)
    add_common_options(app)  # a second time does no harm
    for words in (["faces64", "run.steps=1", "data.size=64", "-o", "x"], ["faces64", "--quiet"], ["faces64", "--json"]):
        for name in (QUIET, JSON):
            monkeypatch.delenv(name, raising=False)
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
    assert seen == [
        ("faces64", ["run.steps=1", "data.size=64"], "x", False, False),
        ("faces64", None, "runs", True, False),
        ("faces64", None, "runs", False, True),
    ]
