"""`ganymede runtimes BUNDLE`: what `GANYMEDE_RUNTIME=auto` chooses here, and what it measured."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from models.bundle import MANIFEST_NAME, Bundle, read_bundle
from models.errors import ModelsError
from models.runtimes.auto import choose, compose
from models.runtimes.choice import Choice
from models.runtimes.memory import Memory
from models.runtimes.proof import Proof, proof_of
from models.runtimes.trial import Row
from service.cli.application import app
from service.cli.output import fail, note, show
from service.cli.serve import load_settings
from service.engine.catalogue import candidates
from service.operations.state import sources_of
from service.settings import Settings


@app.command()
def runtimes(
    bundle: Annotated[str, typer.Argument(help="Name of a served bundle, or a bundle's folder.")],
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the runtime; a process a core has 1.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure even if a choice is remembered.")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the server that shall remember it.")] = None,
) -> None:
    """Candidates of GANYMEDE_RUNTIME=auto for a bundle: difference, speed, winner, pictures at once. It is remembered.

    Example: ganymede runtimes photo-x2 --threads 1
    """
    settings = load_settings(data_dir=data_dir, threads=threads)
    found = _bundle(settings, bundle)
    note(f"{found.reference}, {settings.engine_threads} threads, batches of {settings.max_batch} at most")
    choice, proof = measure(found, settings, again)
    show(
        {"bundle": found.reference, **asdict(choice), **asdict(proof)},
        table(choice, proof, settings.max_batch),
    )


def measure(bundle: Bundle, settings: Settings, again: bool) -> tuple[Choice, Proof]:
    """What `auto` chooses and what is proved of it, remembered or fresh."""
    options = (bundle, settings.engine_threads, settings.max_batch, Memory(settings.measurements_file))
    choice = choose(*options, again=again)
    return choice, proof_of(compose(bundle, settings.engine_threads, choice), *options, again=again)


def _bundle(settings: Settings, name: str) -> Bundle:
    """A bundle by its folder or by its name below the bundle folders; ends the command with a sentence without one."""
    roots, _ = sources_of(settings).look()
    named = [folder for folder in candidates(roots) if folder.name == name]
    folder = next((path for path in [Path(name), *named] if (path / MANIFEST_NAME).is_file()), None)
    if folder is None:
        fail(f"there is no bundle {name!r} in {', '.join(str(root) for root in settings.bundles)}")
    try:
        return read_bundle(folder)
    except ModelsError as error:
        fail(str(error))


def table(choice: Choice, proof: Proof, max_batch: int) -> str:
    """A line a level and candidate, the winner of each level marked; then the batch of each level."""
    lines = [f"  level  {'candidate':14} difference/255  alone ms  pictures/s  verdict"]
    lines += [_line(row, choice, max_batch) for row in sorted(choice.rows, key=lambda row: row.level)]
    untried = sorted(set(range(len(choice.levels))) - {row.level for row in choice.rows})
    lines += [f"* {level:5}  {choice.levels[level]:14} not tried: too little of the whole" for level in untried]
    return "\n".join([*lines, f"pictures at once, level by level: {', '.join(map(str, proof.batches))}"])


def _line(row: Row, choice: Choice, max_batch: int) -> str:
    mark = "*" if choice.levels[row.level] == row.candidate else " "
    difference = "-" if row.difference is None else f"{row.difference:.3f}"
    alone = "-" if row.alone_ms is None else f"{row.alone_ms:.3f}"
    rate = "-" if not row.full_ms else f"{max_batch / row.full_ms * 1e3:.0f}"
    return f"{mark} {row.level:5}  {row.candidate:14} {difference:>14}  {alone:>8}  {rate:>10}  {row.verdict}"
