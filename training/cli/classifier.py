"""The commands around the self-trained classifier: train it on a labelled set, let it name a bundle's samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.bundle import read_bundle
from training.classifiers.classifier import label_agreement, load_classifier
from training.classifiers.classifier import train_classifier as fit
from training.cli.console import answer, explained
from training.data.dataset import load_dataset
from training.export.rescore import rescore
from training.recipes.resolve import resolve

app = typer.Typer(no_args_is_help=True, help="Train a classifier on real pictures and let it name samples.")


@app.command("train")
def train_command(
    recipe: Annotated[str, typer.Argument(help="A recipe whose [data] is labelled and has a test split.")],
    out: Annotated[Path, typer.Option(help="The safetensors file to write.")] = Path("classifier.safetensors"),
    epochs: Annotated[float, typer.Option(help="Passes over the training set.")] = 3.0,
    seed: Annotated[int, typer.Option(help="Seed of weights and order.")] = 0,
    transfer: Annotated[
        bool,
        typer.Option("--transfer", help="Begin with EfficientNet-lite2 (extra `pretrained`): for hard pictures."),
    ] = False,
) -> None:
    """Train on a recipe's data. Example: ganymede classifier train fashion32 --out fashion.safetensors"""
    with explained("training a classifier"):
        table = resolve(recipe).data
        real, _ = load_dataset(table)
        test, _ = load_dataset(table.model_copy(update={"split": "test", "flip": False}))
        classifier = fit(real, test, epochs, seed, transfer)
        classifier.save(out)
        facts = {"file": str(out), "accuracy": classifier.accuracy, "test_pictures": len(test)}
        answer(facts, f"{out}: {classifier.accuracy:.2%} right on {len(test)} test pictures")


@app.command()
def agreement(
    bundle: Annotated[Path, typer.Argument(help="A label-conditional bundle.")],
    classifier: Annotated[Path, typer.Option(help="A file `classifier train` wrote.")],
    count: Annotated[int, typer.Option(min=1, help="Samples to name.")] = 5000,
    save: Annotated[bool, typer.Option("--save", help="Put the score into the bundle's manifest and card.")] = False,
) -> None:
    """Say how often a bundle's samples look like the label that was asked for.

    Example: ganymede classifier agreement models/exports/fashion32 --classifier fashion.safetensors
    """
    with explained("classifying samples"):
        score = label_agreement(read_bundle(bundle), load_classifier(classifier), count)
        saved = [rescore(bundle, [score]).reference] if save else []
        facts = {"agreement": score.value, "protocol": score.protocol, "saved": saved}
        answer(facts, f"{score.value:.2%}  {score.protocol}", *saved)
