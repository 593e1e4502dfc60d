"""docs/evidence/lapgan.md by one command: `python -m training.evidence.lapgan --minutes 6`.

Four families learn CIFAR-10 for the same processor time and are scored alike; then, for the shipped bundles, what each
level adds. What was measured is kept in lapgan.jsonl beside the page, so the command can be stopped and run again.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from models.bundle import Bundle, read_bundle
from training.evaluate import distances
from training.evaluate.extractors import from_classifier
from training.evidence.contest import CONTESTANTS, SCORED, Reference, contest, load_reference
from training.evidence.facts import Fact, Facts, weights_of
from training.evidence.levels import by_level
from training.evidence.pictures import data_of
from training.evidence.rerolled import SHOWN, reroll

PAGE = Path("docs/evidence/lapgan.md")
EXPORTS = Path("models/exports")
BUNDLES = ("cifar32-lapgan", "faces64-lapgan")
SHIPPED_NOTE = (
    "What the shipped bundles are worth, with hours where these had minutes, is in [pictures.md](pictures.md)."
)
COLUMNS = {
    "images": "real pictures seen",
    "parameters": "parameters served",
    "cls_frechet": "cls_frechet",
    "cls_score": "cls_score",
    "cls_kid": "cls_kid",
    "cls_precision": "precision",
    "cls_recall": "recall",
    "classes_covered": "classes covered",
    "nn_two_sample": "nn_two_sample",
    "label_agreement": "label agreement",
}


def page(results: dict[str, Fact], real: Fact | None, minutes: float, folder: Path, facts: Facts) -> str:
    """The whole page as Markdown; the sheets of re-rolled levels are written beside it."""
    lines = ["# LAPGAN beside its relatives, at equal compute", "", *_protocol(results, minutes, real), ""]
    lines += ["| family | " + " | ".join(COLUMNS.values()) + " |", "|---" * (1 + len(COLUMNS)) + "|"]
    for name in CONTESTANTS:
        cells = [_cell(results[name].get(column)) if name in results else "not run" for column in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", *_reading(results), "", SHIPPED_NOTE]
    for name in results:
        lines += ["", f"## {name}", "", f"![Sixty samples of the {name}, seeds in order](lapgan-{slug(name)}.webp)"]
    for name in BUNDLES:
        if (EXPORTS / name).is_dir():
            lines += _levels(name, folder, facts)
    return "\n".join(lines) + "\n"


def _protocol(results: dict[str, Fact], minutes: float, real: Fact | None) -> list[str]:
    learned = " or ".join(f"{count:,}" for count in sorted({fact["training"] for fact in results.values()}))
    lines = [
        f"Made by `python -m training.evidence.lapgan --minutes {minutes:g}`: every family learns CIFAR-10 ({learned} training",
        f"pictures) for {minutes:g} minutes of processor time on one thread of the same machine, from scratch, at a constant",
        f"rate, and then draws seeds 0 … {SCORED - 1}, classes in turn where it has labels.",
        "The scores are those of `ganymede evaluate`, in the space of a classifier of the real set; they are **not** IS or FID.",
        "cls_frechet, cls_kid: lower is better. cls_score, precision, recall: higher. nn_two_sample: 0.5 cannot be told",
        "from real pictures, 1 always can.",
    ]
    if real is not None:
        lines += [
            f"The classifier is right on {real['accuracy']:.1%} of the real test pictures. {SCORED // 2} of them are",
            f"{real['cls_frechet']:.1f} from {SCORED // 2} others and score {real['cls_score']:.2f}: the best one can hope for.",
        ]
    return lines


def _reading(results: dict[str, Fact]) -> list[str]:
    if len(results) < 2:
        return []
    order = sorted(results, key=lambda name: float(results[name]["cls_frechet"]))
    return [f"By cls_frechet, best first: {', '.join(order)}. One run each; how far seeds differ was not measured."]


def _levels(name: str, folder: Path, facts: Facts) -> list[str]:
    bundle = read_bundle(EXPORTS / name)
    known = facts.get(f"levels of {name}")
    moved = reroll(bundle, folder / f"lapgan-levels-{name}.webp")
    return [
        "",
        f"## What each level of {name} adds",
        "",
        f"`{bundle.reference}`, a row a seed: the picture after each level (enlarged without smoothing), then the finest picture",
        f"with each finer level's noise drawn again ({SHOWN} of the draws), everything else kept. A pixel moves by (standard",
        "deviation over the draws, of 255 levels):",
        "",
        "| level re-rolled | movement |",
        "|---|---|",
        *(f"| {step.size} pixels | {step.levels_of_255:.1f} |" for step in moved),
        "",
        f"![What each level of {name} adds](lapgan-levels-{name}.webp)",
        *(_lost(known) if known is not None and known["weights"] == weights_of(bundle) else ()),
    ]


def _lost(fact: Fact) -> list[str]:
    """Where the distance to real pictures comes from, level by level."""
    count = fact["levels"][0]["count"]
    lines = [
        "",
        f"Fréchet distances at every size ({count:,} pictures against as many real ones, features of EfficientNet-lite2): other",
        "real pictures, samples, and what a level alone makes of real pictures of the level below. Sizes do not compare.",
        "",
        "| pixels | real | sampled | this level alone |",
        "|---|---|---|---|",
    ]
    for level in fact["levels"]:
        alone = "–" if level["alone"] is None else f"{level['alone']:.1f}"
        lines.append(f"| {level['size']} | {level['floor']:.1f} | {level['sampled']:.1f} | {alone} |")
    return lines


def _cell(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def slug(name: str) -> str:
    """A family's name as a file's."""
    return name.lower().replace(" ", "-")


def against_itself(reference: Reference) -> Fact:
    """What real test pictures score: half of them against the other half."""
    found = from_classifier(reference.classifier).extract(reference.real)
    one, other = found.features.chunk(2)
    return {
        "accuracy": reference.classifier.accuracy,
        "cls_frechet": distances.frechet(one, other),
        "cls_score": distances.class_score(found.logits)[0],
    }


def level_fact(bundle: Bundle, root: Path | None) -> Fact:
    """The distances of every level of these weights; `root`: see `data_of`."""
    return {
        "bundle": bundle.reference,
        "weights": weights_of(bundle),
        "levels": by_level(bundle, data_of(bundle, root)),
    }


def main(
    minutes: Annotated[float, typer.Option(help="Processor time of each family.")] = 6.0,
    out: Annotated[Path, typer.Option(help="The page; facts and sheets are kept beside it.")] = PAGE,
    only: Annotated[list[str] | None, typer.Option(help="Families to run now, so that others may run beside.")] = None,
    data: Annotated[Path | None, typer.Option(help="Where the data sets of the shipped bundles lie.")] = None,
) -> None:
    """Measure what is missing and describe what is there."""
    if unknown := {*(only or ())} - {*CONTESTANTS}:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: the families are {', '.join(CONTESTANTS)}")
    torch.set_num_threads(1)
    facts = Facts(out.with_suffix(".jsonl"))
    real = facts.measure("real test pictures", lambda: against_itself(load_reference()))
    for name in only or CONTESTANTS:
        sheet = out.parent / f"lapgan-{slug(name)}.webp"
        facts.measure(f"{name}, {minutes:g} min", lambda: contest(name, minutes, load_reference(), sheet))  # noqa: B023 - called at once
    for bundle in (read_bundle(EXPORTS / name) for name in BUNDLES if (EXPORTS / name).is_dir()):
        facts.measure(f"levels of {bundle.name}", partial(level_fact, bundle, data), of=weights_of(bundle))
    known = {name: facts.get(f"{name}, {minutes:g} min") for name in CONTESTANTS}
    ran = {name: fact for name, fact in known.items() if fact is not None}
    text = page(ran, real, minutes, out.parent, facts)
    out.write_text(text, encoding="utf-8")
    typer.echo(text)


if __name__ == "__main__":
    typer.run(main)
