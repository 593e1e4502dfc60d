"""`ganymede inside`: guided pictures, linear probes and forgotten features of a shipped DCGAN bundle."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor

from models.bundle import read_bundle
from models.mathematics.latents import draw
from training.cli.console import answer, explained
from training.data.dataset import Dataset, load_dataset
from training.errors import EvaluationError
from training.inside import forget as forgetting
from training.inside import guided as looking
from training.inside import representation
from training.inside.representation import Features
from training.inside.shipped import networks
from training.networks.attribute_classifier import load_classifier
from training.recipes.resolve import from_tree
from training.recipes.tables import DataTable
from training.run import samples

app = typer.Typer(no_args_is_help=True, help="Look inside a shipped DCGAN bundle.")
Labels = NDArray[np.int64]
BundleFolder = Annotated[Path, typer.Argument(help="A DCGAN bundle's folder.")]


@app.command()
def guided(
    bundle: BundleFolder,
    out: Annotated[Path, typer.Option(help="PNG of the trained discriminator; -random is put beside it.")] = Path(
        "guided.png"
    ),
    count: Annotated[int, typer.Option(min=10, help="Real pictures to look among.")] = 500,
) -> None:
    """What the six strongest features see, and what those of a random network do.

    Example: ganymede inside guided models/exports/fashion32 --out guided.png
    """
    with explained("looking for what features see"):
        opened, shown = read_bundle(bundle), {}
        real = _real(opened.manifest.provenance.recipe, "train", count)
        pictures = real.batch(torch.arange(min(count, len(real)))).pictures
        for random, path in ((False, out), (True, out.with_stem(f"{out.stem}-random"))):
            seen = looking.strongest(networks(opened, random)[1], pictures)
            samples.save_grid(path, seen.sheet(), 10)
            shown[str(path)] = [int(feature) for feature in seen.features]
        answer(shown, *(f"{path}: maps {', '.join(map(str, maps))}" for path, maps in shown.items()))


@app.command()
def features(
    bundle: BundleFolder,
    train: Annotated[int, typer.Option(min=100, help="Training pictures.")] = 5000,
    test: Annotated[int, typer.Option(min=100, help="Test pictures.")] = 5000,
) -> None:
    """Accuracy of a linear SVM on pooled features, on a random network's, and on raw pixels.

    Example: ganymede inside features models/exports/fashion32 --train 1000 --test 1000
    """
    with explained("fitting linear SVMs"):
        opened = read_bundle(bundle)
        known = _rows(_real(opened.manifest.provenance.recipe, "train", train), train)
        unseen = _rows(_real(opened.manifest.provenance.recipe, "test", test), test)
        nets = {"trained network": networks(opened)[1], "random network": networks(opened, True)[1]}
        rows = {
            name: [representation.pooled_features(net, pictures) for pictures, _ in (known, unseen)]
            for name, net in nets.items()
        }
        rows["raw pixels"] = [pictures.flatten(1).numpy() for pictures, _ in (known, unseen)]
        found = [_fitted(name, pair[0], known[1], pair[1], unseen[1]) for name, pair in rows.items()]
        answer(found, *("{of}, {features} features: {accuracy:.2%}, C={strength:g}".format(**row) for row in found))


def _fitted(of: str, learn: Features, classes: Labels, test: Features, truth: Labels) -> dict[str, Any]:
    learned = representation.linear_svm(learn, classes, test, truth)
    return {"of": of, "features": learn.shape[1], "accuracy": float(learned.accuracy), "strength": learned.strength}


@app.command()
def forget(
    bundle: BundleFolder,
    classifier: Annotated[Path, typer.Option(help="Attribute classifier that `directions learn` keeps.")],
    attribute: Annotated[str, typer.Option(help="What to forget.")] = "eyeglasses",
    maps: Annotated[int, typer.Option(min=1, help="Maps to drop at most.")] = 8,
    samples_drawn: Annotated[
        int, typer.Option("--samples", min=100, help="Samples to learn from, and to test on.")
    ] = 1500,
    out: Annotated[Path, typer.Option(help="PNG: same seeds before and after.")] = Path("forget.png"),
) -> None:
    """Drop the generator's maps that draw an attribute, and sample again.

    Example: ganymede inside forget my-bundles/faces --classifier runs/attributes.safetensors --attribute smiling
    """
    with explained("dropping maps and sampling again"):
        opened, network = read_bundle(bundle), load_classifier(classifier)
        if opened.manifest.labels:
            raise EvaluationError(f"'{opened.name}' draws what its label says; maps are forgotten without labels")
        shows = forgetting.shown_by(network, attribute)
        generator = networks(opened)[0]
        latents = torch.from_numpy(draw(opened.manifest.latent, range(2 * samples_drawn)))
        learn, test = latents[:samples_drawn], latents[samples_drawn:]
        found = forgetting.forget(generator, learn, test, shows, maps)
        samples.save_grid(out, forgetting.before_and_after(generator, test, shows, found.maps), 10)
        answer(
            {"file": str(out), "attribute": attribute, **asdict(found)},
            f"{attribute}: {found.before:.1%} of samples before, {found.after:.1%} without maps "
            f"{', '.join(map(str, found.maps))}, {found.control:.1%} without as many others; "
            f"pictures change by {found.changed:.3f}, {found.changed_control:.3f}",
        )


def _real(recipe: dict[str, object], split: str, limit: int) -> Dataset:
    table: DataTable = from_tree(recipe).data
    plain = {
        "split": split,
        "limit": 0,
        "flip": False,
        "labelled": 0,
        "labels": "class" if table.labels == "class" else "none",
    }
    return load_dataset(table.model_copy(update=plain))[0]


def _rows(data: Dataset, count: int) -> tuple[Tensor, Labels]:
    if data.labels is None:
        raise EvaluationError("this data set has no classes to learn")
    rows = torch.from_numpy(representation.balanced_rows(data.labels.numpy(), count, 0))
    return data.batch(rows).pictures, np.asarray(data.labels[rows].numpy(), np.int64)
