"""`ganymede classify, features`: what a discriminator says of pictures, one or whole folders."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ganymede_client import Client
from service.cli.application import app
from service.cli.many import PICTURES, Item, conclude, find, run_many
from service.cli.output import STANDARD, counted, fail, report, show
from service.cli.remote import Again, Files, Jobs, Model, Recursive, Url, client

Label = Annotated[str | None, typer.Option(help="Class to classify by, for a conditional discriminator.")]
Fit = Annotated[str | None, typer.Option(help="crop | pad | stretch: how another shape becomes the model's.")]
Invert = Annotated[bool, typer.Option("--invert", help="Dark on light becomes light on dark.")]
Rows = Annotated[
    Path | None, typer.Option("--out", "-o", help="File of one JSON object a line; files that are in it are skipped.")
]
Answer = dict[str, Any]
Ask = Callable[[Client, bytes, dict[str, Any]], Answer]


def _command(what: str, ask: Ask, line: Callable[[Answer], str]) -> Callable[..., None]:
    """The command `what`, which asks the same of every picture, in order of their names; `line` shows an answer to people.

    Rows go to the file as they come, so that an interrupt loses nothing.
    """

    def command(
        files: Files,
        model: Model = None,
        label: Label = None,
        fit: Fit = None,
        invert: Invert = False,
        out: Rows = None,
        recursive: Recursive = False,
        jobs: Jobs = 2,
        again: Again = False,
        url: Url = None,
    ) -> None:
        options = {"model": model, "label": label, "fit": fit, "invert": invert or None}
        items = find(files, PICTURES, recursive=recursive)
        known = set() if out is None or again else _known(out)
        sink = _Sink(None if out == STANDARD else out, fresh=again)
        with client(url, retries=30) as ganymede:

            def one(item: Item) -> Answer:
                row = {"file": str(item.source), **ask(ganymede, item.data(), options)}
                sink.add(row)
                return row

            outcome = run_many(items, one, what=what, jobs=jobs, done=lambda item: str(item.source) in known)
        rows = [outcome.results[k] for k in sorted(outcome.results)]
        if out is not None and out != STANDARD:
            facts = {"file": str(out), "rows": len(rows), "skipped": outcome.skipped}
            report(facts, f"{out}  {counted(len(rows), 'row')}")
        else:
            single = len(items) == len(rows) == 1 and not files[0].is_dir()
            show(rows[0] if single else rows, "\n".join(map(line, rows)))
        conclude(items, outcome)

    return command


def _classified(row: dict[str, Any]) -> str:
    named = f"{row['label']} {row['probabilities'][row['label']]:.3f}  " if row.get("label") else ""
    return f"{row['file']}: {named}p(real) {row['p_real']:.3f}"


def _featured(row: dict[str, Any]) -> str:
    shown = ", ".join(f"{value:.3f}" for value in row["features"][:4])
    return f"{row['file']}: {row['size']} numbers, {shown} …"


def _known(out: Path) -> set[str]:
    """Files that a list has a whole row of."""
    if out == STANDARD or not out.exists():
        return set()
    known = set()
    for text in out.read_text().splitlines():
        try:
            known.add(json.loads(text)["file"])
        except (ValueError, KeyError, TypeError):
            continue  # a line cut by an interrupt
    return known


class _Sink:
    """Appends rows to a file, each in one write."""

    def __init__(self, path: Path | None, *, fresh: bool) -> None:
        self._path = path
        try:
            if path is not None and (fresh or not path.exists()):
                path.write_text("")
            elif path is not None and not path.read_bytes().endswith(b"\n") and path.stat().st_size:
                self._append(b"\n")
        except OSError as error:
            fail(f"cannot write {path}: {error.strerror}")

    def add(self, row: dict[str, Any]) -> None:
        """One row."""
        self._append(json.dumps(row).encode() + b"\n")

    def _append(self, data: bytes) -> None:
        if self._path is not None:
            with open(self._path, "ab", buffering=0) as target:
                target.write(data)


app.command(
    "classify",
    help="Which class, and how real.\n\nExample: ganymede classify digits/ -m mnist-ssl -o answers.ndjson",
)(_command("classify", lambda ganymede, data, wish: ganymede.classify(data, **wish), _classified))
app.command(
    "features",
    help="A discriminator's features, for search and clusters.\n\n"
    "Example: ganymede features digits/ -m mnist-ssl -o features.ndjson",
)(_command("features", lambda ganymede, data, wish: ganymede.features(data, **wish), _featured))
