"""docs/evidence/improved.md by one command: `python -m training.evidence.improved --minutes 60`. It resumes.

Every fact is measured once and kept in docs/evidence/improved.jsonl; a later call measures what is still missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from models.bundle import Bundle, read_bundle
from models.manifest import Score
from models.mathematics.latents import draw
from training.classifiers.classifier import Classifier, load_classifier, train_classifier
from training.data.dataset import Dataset, load_dataset
from training.evaluate.extractors import from_classifier
from training.evaluate.semi_supervised import errors_of_bundle
from training.evaluate.suite import Plan, evaluate, gather, neighbour_sheet
from training.evidence import ablation, few_labels, probes
from training.evidence.facts import Facts, weights_of
from training.evidence.improved_page import write_page
from training.export.rescore import rescore
from training.inside import guided
from training.inside.forget import before_and_after, forget, shown_by
from training.inside.shipped import networks
from training.networks.attribute_classifier import load_classifier as load_attributes
from training.recipes.resolve import from_tree, resolve
from training.recipes.tables import DataTable
from training.run import samples
from training.run.checkpoint import steps_in
from training.run.run_folder import RunFolder

PAGE = Path("docs/evidence/improved.md")
SHEETS = Path("docs/evidence")
BUNDLES = Path("models/exports")
KEPT = Path("runs/evidence")
FEATURES = Path("runs/cifar10-features")
CURVE = Path("runs/cifar10-ssl")
SHIPPED = ("mnist-gan", "mnist-cgan", "mnist-ssl", "fashion-ssl")
PROBED = "fashion32"
FACES, GLASSES = "faces64", "eyeglasses"
SETS = {"mnist": "../shared/data/mnist", "fashion": "../shared/data/fashion-mnist"}
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Lengths:
    """Steps of the runs the evidence makes itself."""

    ablation: int = 300
    few_labels: int = 2000


def main(
    minutes: Annotated[float, typer.Option(help="Wall time for new measurements; 0: until all is done.")] = 0.0,
    samples_drawn: Annotated[int, typer.Option("--samples", help="Samples a bundle is scored on.")] = 2000,
    ablation_steps: Annotated[int, typer.Option(help="Steps of each ablation run.")] = 300,
    label_steps: Annotated[int, typer.Option(help="Steps of each run with few labels.")] = 2000,
    features: Annotated[Path, typer.Option(help="Run of cifar10-features whose discriminator is probed.")] = FEATURES,
    curve: Annotated[Path, typer.Option(help="Run of cifar10-ssl whose kept checkpoints' errors are counted.")] = CURVE,
    only: Annotated[str, typer.Option(help="Measure only facts whose key begins so, for example ablation.")] = "",
    attributes: Annotated[Path, typer.Option(help="Attribute classifier of faces.")] = KEPT / "attributes.safetensors",
) -> None:
    """Measure what is missing and write the page."""
    facts = Facts(SHEETS / "improved.jsonl", minutes, only)
    lengths = Lengths(ablation_steps, label_steps)
    for _ in work(facts, samples_drawn, lengths, attributes, features, curve):
        write_page(PAGE, facts)
        if facts.out_of_time:
            break
    write_page(PAGE, facts)


def work(facts: Facts, count: int, lengths: Lengths, attributes: Path, features: Path, curve: Path) -> Iterator[None]:
    """Everything there is to measure, the cheap parts first."""
    yield from _shipped(facts, count)
    facts.measure("guided", guided_sheets)
    yield
    if attributes.is_file():
        facts.measure("forget", lambda: forgotten_glasses(attributes))
        yield
    facts.measure("representation", lambda: probes.of_bundle(read_bundle(BUNDLES / PROBED)))
    yield
    yield from _ablation(facts, lengths.ablation, SEEDS[:1])
    yield from _few_labels(facts, lengths.few_labels, SEEDS[:1])
    facts.measure("few_labels.cifar10-ssl", few_labels.check_cifar)
    yield
    for step in steps_in(RunFolder(curve).checkpoints):
        facts.measure(f"{few_labels.CURVE}.{step}", partial(few_labels.of_checkpoint, RunFolder(curve), step))
        yield
    for kind in probes.FEATURES if features.is_dir() else ():
        facts.measure(f"features.cifar10.{kind}", partial(probes.of_run, features, kind))
        yield
    yield from _ablation(facts, lengths.ablation, SEEDS[1:])
    yield from _few_labels(facts, lengths.few_labels, SEEDS[1:])


def _shipped(facts: Facts, count: int) -> Iterator[None]:
    for name in SHIPPED:
        if (BUNDLES / name).is_dir():
            weights = weights_of(read_bundle(BUNDLES / name))
            if name.endswith("-ssl"):
                facts.measure(f"test_error.{name}", partial(test_error, name), weights)
                yield
            fact = facts.measure(f"scores.{name}", partial(scores, name, count), weights)
            if fact is not None and fact.get("weights") == weights:
                carry(BUNDLES / name, [Score.model_validate(score) for score in fact["scores"]])
            yield


def carry(folder: Path, measured: Sequence[Score]) -> None:
    """Puts the scores into the bundle's manifest and card, unless they are there."""
    carried = {score.name: score for score in read_bundle(folder).manifest.scores}
    if any(carried.get(score.name) != score for score in measured):
        rescore(folder, measured)


def _few_labels(facts: Facts, steps: int, seeds: Iterable[int]) -> Iterator[None]:
    for seed in seeds:
        for recipe, labels in few_labels.ROWS:
            name = few_labels.key(recipe, labels, seed)
            facts.measure(name, partial(few_labels.run, recipe, labels, seed, steps))
            yield


def _ablation(facts: Facts, steps: int, seeds: Iterable[int]) -> Iterator[None]:
    for seed in seeds:
        for title, path in SETS.items():
            for variant in ablation.VARIANTS:
                key = f"ablation.{title}.{variant}.{seed}"
                if facts.get(key) is None and facts.may_measure(key):
                    facts.measure(key, partial(ablation.run, variant, path, *small(title, path), seed, steps))
                yield


def test_error(name: str) -> Mapping[str, Any]:
    """Errors of a shipped classifier on the whole test set."""
    bundle = read_bundle(BUNDLES / name)
    table = _table(bundle)
    test, _ = load_dataset(table.model_copy(update={"split": "test", "labelled": 0}))
    facts = bundle.manifest.provenance
    trained_on = facts.recipe.get("matching", {}).get("networks")  # its generator alone, after the recipe's own run
    return {
        "wrong": errors_of_bundle(bundle, test),
        "of": len(test),
        "labels": table.labelled,
        "steps": resolve(name, []).run.steps if trained_on else facts.steps,
        "bundle": bundle.reference,
        "weights": weights_of(bundle),
    }


def scores(name: str, count: int) -> Mapping[str, Any]:
    """All scores of a shipped bundle, and its neighbour sheet."""
    bundle = read_bundle(BUNDLES / name)
    table = _table(bundle).model_copy(update={"labelled": 0, "labels": "class"})
    network, file = classifier(f"{Path(table.path).name}-{table.size}", table, epochs=4.0)
    material = gather(bundle, table, Plan(samples=count, real=count, rows=min(1000, count), epochs=4.0))
    extractor = from_classifier(network, file)
    neighbour_sheet(material, SHEETS / f"{name}-neighbours.png")
    found = evaluate(material, [extractor], network)
    rows = [score.model_dump() for score in found]
    return {"bundle": bundle.reference, "weights": weights_of(bundle), "scores": rows}


def guided_sheets() -> Mapping[str, Any]:
    """Guided backpropagation of the probed bundle's discriminator and of a random one."""
    bundle = read_bundle(BUNDLES / PROBED)
    train, _ = load_dataset(_table(bundle).model_copy(update={"limit": 1000}))
    pictures, maps = train.batch(torch.arange(500)).pictures, {}
    for title, random in (("trained", False), ("random", True)):
        seen = guided.strongest(networks(bundle, random)[1], pictures)
        samples.save_grid(SHEETS / f"guided-{title}.png", seen.sheet(), 10)
        maps[title] = list(seen.features)
    return {"bundle": bundle.reference, "pictures": len(pictures), "maps": maps}


def forgotten_glasses(attributes: Path, count: int = 1000, maps: int = 6) -> Mapping[str, Any]:
    """Eyeglasses dropped from the faces bundle's generator, and the sheet of the same seeds before and after."""
    bundle, generator = read_bundle(BUNDLES / FACES), networks(read_bundle(BUNDLES / FACES))[0]
    shows = shown_by(load_attributes(attributes), GLASSES)
    latents = torch.from_numpy(draw(bundle.manifest.latent, range(2 * count)))
    learn, test = latents[:count], latents[count:]
    found = forget(generator, learn, test, shows, maps)
    samples.save_grid(SHEETS / "forget-eyeglasses.webp", before_and_after(generator, test, shows, found.maps), 10)
    return {"bundle": bundle.reference, "attribute": GLASSES, "samples": count, **asdict(found)}


@lru_cache(maxsize=2)
def small(title: str, path: str) -> tuple[Dataset, Classifier]:
    """The training set at 16x16 with its labels, and a classifier of it."""
    table = DataTable(path=path, labels="class", size=16, channels=1)
    network, _ = classifier(f"{title}-16", table)
    return load_dataset(table.model_copy(update={"limit": 20000}))[0], network


def classifier(name: str, table: DataTable, epochs: float = 1.0) -> tuple[Classifier, Path]:
    """A LeNet of the real set, trained once and kept under runs/evidence."""
    path = KEPT / f"{name}.safetensors"
    if not path.is_file():
        train, _ = load_dataset(table.model_copy(update={"flip": False}))
        test, _ = load_dataset(table.model_copy(update={"split": "test", "flip": False}))
        train_classifier(train, test, epochs).save(path)
    return load_classifier(path), path


def _table(bundle: Bundle) -> DataTable:
    return from_tree(bundle.manifest.provenance.recipe).data


if __name__ == "__main__":
    typer.run(main)
