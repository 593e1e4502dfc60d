"""The training commands: train, export, preview, dataset check. Parses, delegates, exits."""

from __future__ import annotations

import signal
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from models.bundle import MANIFEST_NAME, read_bundle
from training.cli import classifier as cli_classifier
from training.cli import compare as cli_compare
from training.cli import evaluate as cli_evaluate
from training.cli import inside as cli_inside
from training.cli.console import answer, console, explained, is_quiet
from training.cli.models import models_app
from training.compute import parallel
from training.compute.precision import with_hardware
from training.data.check import Report
from training.data.dataset import Dataset, load_dataset, read_all
from training.data.sources import find_pictures
from training.evaluate.watch import Lite2Watch
from training.export.bundle import export_run, open_run
from training.export.keep_discriminator import export_with_discriminator
from training.export.preview import write_preview
from training.export.sharing import precision_of
from training.recipes.recipe import Recipe
from training.recipes.resolve import names, resolve, to_toml
from training.recipes.tables import DataTable
from training.run import run_folder, samples
from training.run.averaging import Source, average
from training.run.begin_from import begin_from
from training.run.loop import Trainer
from training.run.progress import Silent, Terminal
from training.run.run_folder import RunFolder
from training.run.scoring import Scorer
from training.run.side_by_side import sizes_of, train_side_by_side
from training.run.snapshot import GRID_COLUMNS, grid_pictures

app = typer.Typer(no_args_is_help=True, help="Train GANs and export them as bundles.")
dataset_app = typer.Typer(no_args_is_help=True, help="Look at data sets before training on them.")
app.add_typer(models_app, name="models")
app.add_typer(dataset_app, name="dataset")
app.add_typer(cli_classifier.app, name="classifier")
app.add_typer(cli_inside.app, name="inside")
app.command(name="evaluate")(cli_evaluate.evaluate)
app.command(name="compare")(cli_compare.compare)

RECIPE_HELP = f"A shipped recipe ({', '.join(names())}), a TOML file, or with --resume a run folder."


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help=RECIPE_HELP)],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value, for example run.steps=5000 data.path=faces")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder that gets the numbered run folder.")] = Path("runs"),
    run: Annotated[Path | None, typer.Option(help="Exact run folder; a run that is there is continued.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="RECIPE is a run folder: continue it exactly; run.steps=N makes it longer.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved recipe and stop.")] = False,
    levels: Annotated[str, typer.Option(help="LAPGAN: all, or numbers such as 0,2 (0 is the coarsest).")] = "all",
    at_once: Annotated[bool, typer.Option("--parallel", help="LAPGAN: a process for each of the levels.")] = False,
) -> None:
    """Train a recipe. Example: ganymede train faces64 data.path=my-pictures run.steps=20000"""
    with explained():
        wish, exact = _wish(recipe, overrides or [], run, resume)
        if levels != "all" and not at_once:
            wish, exact = _wish(
                recipe, [*(overrides or []), f"pyramid.train={list(sizes_of(wish, levels))}"], run, resume
            )
        if dry_run:
            answer(wish.model_dump(mode="json"), to_toml(wish))
            return
        if at_once:
            folder = run_folder.create(out, wish) if exact is None else run_folder.at(exact, wish)
            train_side_by_side(wish, [recipe, *(overrides or [])], folder, sizes_of(wish, levels))
            answer({"run": str(folder.path)}, f"run folder {folder.path}")
            return
        group = parallel.from_environment()
        try:
            _train(wish, exact, out, group)
        finally:
            group.close()


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[Path, typer.Option(help="Folder that gets the bundle's folder.")] = Path("bundles"),
    name: Annotated[str | None, typer.Option(help="The bundle's name (the recipe's).")] = None,
    step: Annotated[
        int | None, typer.Option(help="A kept checkpoint's step (the best scored, else the newest).")
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="The newest checkpoint, whatever its score.")] = False,
    weights: Annotated[
        str, typer.Option(help="How they are stored: float32, float16-discriminator or float16.")
    ] = "float32",
    discriminator_of: Annotated[
        Path | None,
        typer.Option(help="A bundle whose discriminator comes along; of runs without one (matching.networks)."),
    ] = None,
) -> None:
    """Write a bundle from a run. Example: ganymede export runs/000-faces64 --out models/exports"""
    with explained("exporting, and checking every level"):
        folder = RunFolder(run)
        chosen = folder.latest_step() if last and step is None else step
        name, precision = name or folder.recipe().name, precision_of(weights)
        if discriminator_of is None:
            bundle = export_run(folder, out, name, chosen, weights=precision)
        else:
            former = read_bundle(discriminator_of)
            bundle = export_with_discriminator(folder, out, name, chosen, precision, former)
        checks = bundle.manifest.export_checks
        lines = [f"  {c.file}: differs from the network by at most {c.max_abs_difference:.1e}" for c in checks]
        facts = {"bundle": bundle.reference, "folder": str(bundle.folder)}
        answer(
            {**facts, "checks": [check.model_dump() for check in checks]},
            f"{bundle.folder}  {bundle.reference}",
            *lines,
        )


@app.command(name="average")
def average_command(
    out: Annotated[Path, typer.Argument(help="The run folder to write.")],
    sources: Annotated[list[str], typer.Argument(help="Run folders, or RUN@STEP for a kept checkpoint; two or more.")],
) -> None:
    """Write the mean of several checkpoints' generators as a run of its own, to export, score or train on.

    Of runs that began from the same weights the mean may paint better than each.

    Example: ganymede average runs/mean runs/000-faces64 runs/000-faces64@2
    """
    with explained("averaging"):
        folder = average([Source.of(word) for word in sources], out)
        mean_of = folder.recipe().run.mean_of
        answer({"run": str(folder.path), "mean_of": mean_of}, f"{folder.path}  mean of {', '.join(mean_of)}")


@app.command()
def preview(
    source: Annotated[Path, typer.Argument(help="A run folder or a bundle.")],
    out: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("preview.png"),
    step: Annotated[int | None, typer.Option(help="A kept checkpoint's step (the newest); runs only.")] = None,
) -> None:
    """Write a picture sheet of fixed seeds from a run or a bundle. Example: ganymede preview runs/000-faces64"""
    with explained("drawing the sheet"):
        if (source / MANIFEST_NAME).is_file():
            write_preview(read_bundle(source), None, out)
        else:
            samples.save_grid(out, grid_pictures(open_run(RunFolder(source), step).algorithm), GRID_COLUMNS)
        answer({"file": str(out)}, str(out))


@dataset_app.command()
def check(
    path: Annotated[Path, typer.Argument(help="A folder of pictures, a zip, an idx folder or CIFAR sheets.")],
    size: Annotated[
        str, typer.Option(help="Side the pictures will be scaled to, pixels; or 64x96, height first.")
    ] = "64",
    grey: Annotated[bool, typer.Option("--grey", help="Train in grey: colour is what gets converted.")] = False,
    all_names: Annotated[bool, typer.Option("--all", help="Name every file, however many.")] = False,
) -> None:
    """Report everything odd about a data set, by file name; exit code 1 when a file would be refused.

    Example: ganymede dataset check my-pictures --size 64
    """
    with explained("reading the pictures"):
        report = _check(path, size, grey)
        answer(report.facts(), report.text(names_shown=len(report.findings) if all_names else 20))
        if report.refused:
            raise typer.Exit(1)


def _wish(recipe: str, overrides: list[str], run: Path | None, resume: bool) -> tuple[Recipe, Path | None]:
    """The resolved recipe, and the folder to use when it is given."""
    if resume:
        return resolve(str(_recipe_in(Path(recipe))), overrides), Path(recipe)
    if run is not None and RunFolder(run).recipe_file.is_file():
        here = RunFolder(run).recipe()  # device and precision were decided when the run began
        fixed = [f"run.device={here.run.device}", f"run.precision={here.run.precision}"]
        return resolve(recipe, [*overrides, *fixed]), run
    return with_hardware(resolve(recipe, overrides)), run


def _recipe_in(run: Path) -> Path:
    folder = RunFolder(run)
    folder.recipe()  # says so when this is no run folder
    return folder.recipe_file


def _train(wish: Recipe, exact: Path | None, out: Path, group: parallel.Parallel) -> None:
    dataset, report = load_dataset(wish.data)
    if group.is_main and not is_quiet() and (report.findings or report.warning):
        console().print(report.text(names_shown=3), markup=False, highlight=False)
    folder = _shared_folder(wish, exact, out, group)
    progress = Terminal(console()) if group.is_main and not is_quiet() else Silent()
    trainer = Trainer(wish, dataset, folder, group, progress, _scorer(wish, dataset) if group.is_main else None)
    trainer.resume()
    if trainer.step == 0 and wish.run.init_from:
        begin_from(trainer.algorithm, Path(wish.run.init_from))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: trainer.stop())
    if group.is_main:
        page = folder.page.resolve().as_uri()
        begun = {"run": str(folder.path), "step": trainer.step, "page": page}
        answer(begun, f"run folder {folder.path}, from step {trainer.step}", f"watch it: {page}")
    outcome = trainer.run()
    if group.is_main:
        state = "complete" if outcome.complete else f"stopped; continue with: train --resume {folder.path}"
        answer(
            {"run": str(folder.path), **asdict(outcome)},
            f"{outcome.step} steps in {outcome.seconds / 60:.1f} minutes, {state}",
        )


def _scorer(wish: Recipe, dataset: Dataset) -> Scorer | None:
    count = wish.run.watch_samples
    return Lite2Watch(dataset, count, wish.run.seed) if count else None


def _shared_folder(wish: Recipe, exact: Path | None, out: Path, group: parallel.Parallel) -> RunFolder:
    """The run's folder, made by process 0 and named to the others."""
    if not group.is_main:
        return RunFolder(Path(group.share("")))
    folder = run_folder.create(out, wish) if exact is None else run_folder.at(exact, wish)
    group.share(str(folder.path))
    return folder


def _check(path: Path, size: str, grey: bool) -> Report:
    table = DataTable.model_validate({"path": str(path), "size": size, "channels": 1 if grey else 3})
    pictures = find_pictures(path)
    return read_all(pictures, table)[1]


def main() -> None:
    """Runs a command."""
    app()
