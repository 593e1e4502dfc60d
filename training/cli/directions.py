"""`ganymede directions straighten | learn`: latents in which attributes lie straight; directions a bundle ships with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from models.bundle import Bundle, read_bundle
from training.classifiers.attributes import train_classifier
from training.classifiers.directions import Lens, learn, measure, ship, study
from training.classifiers.labelled import load_labelled
from training.classifiers.straighten import straighten
from training.classifiers.tuning import tune
from training.cli.console import answer, explained, note
from training.export.straight import refuse_others, straight, turns_like
from training.networks.attribute_classifier import Classifier, load_classifier

SHIPPED = Path(__file__).parents[2] / "models" / "exports"
DEFAULT_NAMES = ("eyeglasses", "smiling", "male", "blond=blond_hair")

app = typer.Typer()
directions_app = typer.Typer(no_args_is_help=True, help="Named directions in latent space.")
app.add_typer(directions_app, name="directions")


@directions_app.callback()
def root() -> None:
    """Named directions in latent space."""


BundleName = Annotated[str, typer.Argument(help="A bundle's folder, or the name of a shipped one.")]
ATTRIBUTES = "csv with a `file` column and 0/1 attributes, beside its pictures."
Attributes = Annotated[Path, typer.Option(help=ATTRIBUTES)]
Names = Annotated[
    list[str] | None,
    typer.Option("--name", help="Attribute, direction=attribute or direction=column:value|value; may be given again."),
]
Kept = Annotated[Path, typer.Option(help="Where the attribute classifier is kept; trained when it is not there.")]
Samples = Annotated[int, typer.Option(min=1000, help="Seeds that are scored.")]
Epochs = Annotated[int, typer.Option(min=1, help="Epochs of a classifier.")]


@directions_app.command("straighten")
def straighten_command(
    bundle: BundleName,
    attributes: Annotated[Path | None, typer.Option(help=ATTRIBUTES)] = None,
    names: Names = None,
    classifier: Kept = Path("runs/attributes.safetensors"),
    samples: Samples = 250_000,
    steps: Annotated[int, typer.Option(min=20, help="Steps that fit the turns.")] = 8000,
    layers: Annotated[int, typer.Option(min=1, help="Layers of turns; each makes every picture a little slower.")] = 8,
    epochs: Epochs = 12,
    like: Annotated[
        str | None,
        typer.Option(help="Fit nothing: take the turns of this bundle, whose generator was trained on since."),
    ] = None,
) -> None:
    """Turn a bundle's latent space until attributes lie straight in it, so that sums of latents do what they say.

    Its pictures stay, at other latents; learn its directions and evaluate it afterwards.

    Example: ganymede directions straighten my-bundles/faces64 --attributes faces/attributes.csv --name smiling
    """
    with explained():
        opened = open_bundle(bundle)
        refuse_others(opened)
        if like is not None:
            made = straight(opened, turns_like(open_bundle(like)))
            answer({"bundle": made.reference}, made.reference)
            return
        if attributes is None:
            raise typer.BadParameter("give --attributes to learn from, or --like a bundle that is straight")
        titles = dict(_pair(name) for name in names or DEFAULT_NAMES)
        lens = Lens(opened, obtain_classifier(opened, attributes, tuple(titles), classifier, epochs))
        seeds, size = study(lens, samples, note), opened.manifest.latent.cuts[0].size
        found = straighten(replace(seeds, latents=seeds.latents[:, :size]), steps, note, layers)
        made = straight(opened, found.turns)
        shares = [f"{name}: {share:.1%} linear, {found.after[name]:.1%} now" for name, share in found.before.items()]
        answer({"bundle": made.reference, "before": found.before, "after": found.after}, made.reference, *shares)


@directions_app.command("learn")
def learn_command(
    bundle: BundleName,
    attributes: Attributes,
    names: Names = None,
    classifier: Kept = Path("runs/attributes.safetensors"),
    samples: Samples = 20_000,
    epochs: Epochs = 12,
    tune_steps: Annotated[
        int,
        typer.Option("--tune", min=0, help="Steps that turn a direction by gradients; 0: as the linear model says."),
    ] = 500,
    measured_by: Annotated[
        Path,
        typer.Option(
            help="Another classifier, which nothing was learned from, to measure with; trained when not there."
        ),
    ] = Path("runs/attributes-second.safetensors"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure, but leave the bundle as it is.")] = False,
) -> None:
    """Train two small attribute classifiers; score seeds, regress and tune by one, measure by the other; ship the directions.

    Example: ganymede directions learn faces64 --attributes faces/attributes.csv --name smiling
    """
    with explained():
        opened = open_bundle(bundle)
        titles = dict(_pair(name) for name in names or DEFAULT_NAMES)
        learner = Lens(opened, obtain_classifier(opened, attributes, tuple(titles), classifier, epochs))
        other = Lens(opened, obtain_classifier(opened, attributes, tuple(titles), measured_by, epochs, seed=1))
        seeds = study(learner, samples, note)
        found = tune(learner, seeds, learn(seeds, titles), tune_steps, note)
        found = measure(other, found, seeds.names, note)
        reference = opened.reference if dry_run else ship(opened, found).reference
        answer({"bundle": reference, "directions": [direction.name for direction in found]}, reference)


def open_bundle(name: str) -> Bundle:
    """A bundle by its folder or by the name of a shipped one."""
    folder = Path(name)
    return read_bundle(folder if folder.is_dir() else SHIPPED / name)


def obtain_classifier(
    bundle: Bundle, attributes: Path, names: tuple[str, ...], path: Path, epochs: int = 12, seed: int = 0
) -> Classifier:
    """The kept classifier when it knows exactly these attributes; a freshly trained one, kept, otherwise."""
    if path.is_file():
        kept = load_classifier(path)
        if kept.names == names:
            return kept
    trained = train_classifier(load_labelled(bundle, attributes, names), epochs=epochs, seed=seed, report=note)
    note(f"balanced accuracy on people it never saw: {trained.accuracy}")
    trained.save(path)
    return trained


def _pair(name: str) -> tuple[str, str]:
    """(attribute, direction) of `direction=attribute` or of a name that is both."""
    title, _, attribute = name.partition("=")
    return attribute or title, title
