"""Whether the large sets that the recipes name are found whole: `python -m training.evidence.data_sets FOLDER`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from training.data.dataset import load_dataset
from training.data.sources import find_pictures
from training.errors import DataError
from training.recipes.tables import DataTable

DECODED = 200  # pictures of each set that are opened


@dataclass(frozen=True)
class Known:
    """A set as published here: pictures, classes, and how a recipe would read it."""

    pictures: int
    classes: int
    options: dict[str, Any] = field(default_factory=dict)


KNOWN = {
    "fashion-mnist": Known(60_000, 10, {"labels": "class", "channels": 1, "fit": "pad", "size": 32}),
    "cifar10": Known(50_000, 10, {"labels": "class", "size": 32}),
    "faces": Known(12_449, 2, {"labels": "eyeglasses"}),
    "emoji": Known(3_583, 2, {"labels": "human"}),
    "photos": Known(180, 0),
}


def check(folder: Path, known: Known) -> str:
    """One line on a set that is whole. Raises DataError for one that is not, or that holds refused pictures."""
    found = len(find_pictures(folder))
    if found != known.pictures:
        raise DataError(f"'{folder}' has {found} pictures, not {known.pictures}")
    table = DataTable.model_validate({"path": str(folder), "size": 64, "limit": DECODED, **known.options})
    dataset, report = load_dataset(table)
    if len(dataset.classes) != known.classes or report.refused:
        raise DataError(f"'{folder}' has {len(dataset.classes)} classes and {len(report.refused)} refused pictures")
    return f"{folder.name}: {found} pictures, {known.classes} classes, the first {len(dataset)} decoded"


def main(folder: Path = Path("../shared/data")) -> None:
    """Checks each known set below FOLDER and prints a line on each."""
    for name, known in KNOWN.items():
        typer.echo(check(folder / name, known))


if __name__ == "__main__":
    typer.run(main)
