"""`ganymede compare`: one page that shows bundles side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.bundle import read_bundle
from training.cli.console import answer, explained
from training.errors import EvaluationError
from training.evaluate.compare import write_comparison


def compare(
    bundles: Annotated[list[Path], typer.Argument(help="Folders of two or more bundles.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file to write.")] = Path("compare.html"),
    seed: Annotated[int, typer.Option(min=0, help="First of the 64 seeds shown.")] = 0,
) -> None:
    """Show bundles side by side. Example: ganymede compare models/exports/faces64 models/exports/faces64-lapgan"""
    with explained("sampling and measuring the bundles"):
        if len(bundles) < 2:
            raise EvaluationError("compare takes two or more bundles")
        path = write_comparison([read_bundle(folder) for folder in bundles], out, seed)
        page = path.resolve().as_uri()
        answer({"page": page, "file": str(path)}, page)
