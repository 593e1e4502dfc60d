"""The training commands: train, export, preview, dataset check. Parses, delegates, exits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training import parallel, run_folder
from training.data.dataset import load_dataset
from training.errors import TrainingError
from training.loop import Trainer
from training.precision import with_hardware
from training.progress import Silent, Terminal
from training.recipe import resolve, to_toml
from training.recipe_tables import Recipe
from training.run_folder import RunFolder

app = typer.Typer(no_args_is_help=True, help="Train GANs and export them as bundles.")
console = Console(stderr=True)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="a shipped recipe's name, a TOML file, or a run folder with --resume")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value, e.g. run.steps=5000 data.path=faces")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder that gets the numbered run folder")] = Path("runs"),
    run: Annotated[Path | None, typer.Option(help="exact run folder; continues when it has checkpoints")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="RECIPE is a run folder: continue it exactly")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the resolved recipe and stop")] = False,
) -> None:
    """Train a recipe: `train faces64 data.path=my-pictures run.steps=20000`."""
    wish = RunFolder(Path(recipe)).recipe() if resume else with_hardware(resolve(recipe, overrides or ()))
    if dry_run:
        typer.echo(to_toml(wish))
        return
    group = parallel.from_environment()
    dataset, report = load_dataset(wish.data)
    if group.is_main and report.findings:
        console.print(report.text(names_shown=3), markup=False)
    folder = _folder(Path(recipe) if resume else run, out, wish, group)
    trainer = Trainer(wish, dataset, folder, group, Terminal() if group.is_main else Silent())
    trainer.resume()
    if group.is_main:
        typer.echo(f"run folder {folder.path}, from step {trainer.step}")
    outcome = trainer.run()
    group.close()
    if group.is_main:
        typer.echo(f"{outcome.step} steps in {outcome.seconds / 60:.1f} minutes")


def _folder(exact: Path | None, out: Path, wish: Recipe, group: parallel.Parallel) -> RunFolder:
    if exact is not None:
        return run_folder.at(exact, wish)
    return run_folder.create(out, wish)


def main() -> None:
    """Runs a command; our own errors become one sentence and exit code 1."""
    try:
        app()
    except TrainingError as error:
        console.print(f"[bold red]error:[/] {error}", soft_wrap=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
