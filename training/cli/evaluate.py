"""`ganymede evaluate`: scores of a finished bundle, kept in scores.jsonl and, if wished, in its manifest and card."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from models.bundle import Bundle, read_bundle
from models.manifest import Score
from training.classifiers.classifier import load_classifier
from training.cli.console import answer, explained, is_json, note
from training.errors import EvaluationError, RecipeError
from training.evaluate.extractors import Extractor, from_classifier, from_inception
from training.evaluate.suite import Plan, append, gather, neighbour_sheet
from training.evaluate.suite import evaluate as scores_of
from training.export.bundle import export_run
from training.export.rescore import rescore
from training.pretrained import lite2
from training.recipes.resolve import from_tree
from training.recipes.tables import DataTable
from training.run.run_folder import RunFolder


def evaluate(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder, or a run folder.")],
    data: Annotated[Path | None, typer.Option(help="The data set; absent: the one in the bundle's recipe.")] = None,
    classifier: Annotated[
        Path | None, typer.Option(help="A file `classifier train` wrote: cls_score, cls_frechet, cls_kid.")
    ] = None,
    inception: Annotated[
        Path | None, typer.Option(help="Inception weights of 2015-12-05: IS, FID, KID under their own names.")
    ] = None,
    step: Annotated[int | None, typer.Option(help="A run's kept checkpoint (the one export takes).")] = None,
    samples: Annotated[int, typer.Option(min=10, help="Samples to draw; also real pictures to compare with.")] = 5000,
    seed: Annotated[int, typer.Option(min=0, help="First seed of the samples.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of scores.jsonl and the neighbour sheet.")] = Path("evaluation"),
    save: Annotated[bool, typer.Option("--save", help="Put the scores into the bundle's manifest and card.")] = False,
) -> None:
    """Score what is served. Example: ganymede evaluate models/exports/mnist-gan --classifier mnist.safetensors"""
    with explained("scoring"), _opened(bundle, step, save) as opened:
        network = load_classifier(classifier) if classifier else None
        extractors: list[Extractor] = []
        if network is not None:
            extractors.append(from_classifier(network, classifier))
        if inception is not None:
            extractors.append(from_inception(inception))
        if not lite2.available():
            note(
                "no lite2_* scores (Fréchet and kernel distances, precision, recall): pip install 'ganymede[pretrained]'"
            )
        plan = Plan(samples=samples, real=samples, rows=min(2000, samples), seed=seed)
        material = gather(opened, _table(opened.manifest.provenance.recipe, data), plan)
        found: list[Score] = []
        for score in scores_of(material, extractors, network, out / f"{opened.name}-closest.png"):
            if not is_json():
                typer.echo(f"{score.name:24s} {score.value:12.4f}  {score.protocol}")  # the next may take minutes
            append(out / "scores.jsonl", opened, score)
            found.append(score)
        neighbour_sheet(material, out / f"{opened.name}-neighbours.png", extractors[0] if extractors else None)
        reference = rescore(bundle, found).reference if save else opened.reference
        facts = {"bundle": reference, "scores": [score.model_dump() for score in found], "folder": str(out)}
        answer(facts, *([reference] if save else []))


@contextmanager
def _opened(folder: Path, step: int | None, save: bool) -> Iterator[Bundle]:
    """The bundle there, or the one a run's checkpoint exports to, which is gone afterwards."""
    if not RunFolder(folder).recipe_file.is_file():
        if step is not None:
            raise EvaluationError("--step belongs to run folders; a bundle is of one step")
        yield read_bundle(folder)
        return
    if save:
        raise EvaluationError("--save writes into a bundle: export the run first")
    with tempfile.TemporaryDirectory() as scratch:
        yield export_run(RunFolder(folder), Path(scratch), step=step)


def _table(recipe: dict[str, object], path: Path | None) -> DataTable:
    """The data table the bundle was trained with, at another place if one is given."""
    try:
        table = from_tree(recipe).data
    except RecipeError as error:
        raise EvaluationError(f"the bundle's recipe does not say how its data is read: {error}") from error
    return table if path is None else table.model_copy(update={"path": str(path)})
