"""The page docs/evidence/pictures.md: what every bundle scores, and the goals beside what was reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from training.evidence.facts import Fact, Facts

STAGES = ("before", "now")
MISSING = "–"
COLUMNS = {
    "lite2_frechet": "Fréchet",
    "lite2_frechet_floor": "floor",
    "lite2_kernel": "kernel",
    "lite2_precision": "precision",
    "lite2_recall": "recall",
    "lite2_density": "density",
    "lite2_coverage": "coverage",
    "lite2_neighbour_ratio": "neighbour ratio",
    "lite2_copies": "copies",
    "linear_two_sample": "told by lines",
    "cls_frechet": "cls_frechet",
    "cls_recall": "cls_recall",
    "label_agreement": "label agreement",
}
# (bundle, score, what is wanted of it): a number, or a share of what it was before
GOALS: tuple[tuple[str, str, float, str], ...] = (
    ("faces64", "lite2_frechet", 25.0, "≤ 25"),
    ("faces64-lapgan", "lite2_frechet", 55.0, "≤ 55"),
    ("cifar32-lapgan", "lite2_frechet", 1 / 3, "≤ a third of before"),
    ("cifar32", "lite2_frechet", 1 / 3, "≤ a third of cifar32-lapgan before"),
    ("cifar32", "label_agreement", 0.85, "≥ 85 %"),
    ("cifar32-lapgan", "label_agreement", 0.75, "≥ 75 %"),
    ("mnist-cgan", "label_agreement", 0.97, "≥ 97 %"),
    ("mnist-cgan", "cls_recall", 0.7, "≥ 0.7"),
    ("mnist-gan", "cls_recall", 0.7, "≥ 0.7"),
)
HEAD = """# What the pictures are worth, measured

Written by `python -m training.evidence.pictures`, which keeps every fact in [pictures.jsonl](pictures.jsonl) by the
weights and, run again, measures what is missing. 2,500 samples (seeds from 0, labels in turn, drawn through ONNX Runtime as
a server draws them) against 2,500 real pictures, in features of EfficientNet-lite2, which no training uses
([how](../evaluation.md)). Lower is better for Fréchet and kernel, higher for precision, recall, density and coverage; copies
about 0.05 and a neighbour ratio about 1 are what real pictures have. The floor is 2,500 real pictures against 2,500 others.
Told by lines: the accuracy of a linear classifier of 8×8 means on pictures it did not learn from; 0.5 would be a guess.
"""


def write_page(path: Path, facts: Facts) -> None:
    """Writes the page from what is known."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [HEAD, *_goals(facts), *(line for stage in STAGES for line in _stage(facts, stage)), *_how(facts)]
    path.write_text("\n".join(parts).rstrip("\n") + "\n", encoding="utf-8")


def _goals(facts: Facts) -> Iterator[str]:
    yield "## Goals\n\n| bundle | score | before | now | goal | reached |\n|---|---|---|---|---|---|"
    for name, score, goal, text in GOALS:
        before, now = (_value(facts, stage, name, score) for stage in STAGES)
        limit = goal if goal >= 0.5 else _share_of_before(facts, goal)
        reached = MISSING if now is None or limit is None else _reached(score, now, limit)
        yield f"| {name} | {COLUMNS[score]} | {_number(before)} | {_number(now)} | {text} | {reached} |"
    yield ""


def _share_of_before(facts: Facts, share: float) -> float | None:
    before = _value(facts, "before", "cifar32-lapgan", "lite2_frechet")
    return None if before is None else before * share


def _reached(score: str, now: float, limit: float) -> str:
    good = now <= limit if score == "lite2_frechet" else now >= limit
    return "yes" if good else "no"


def _stage(facts: Facts, stage: str) -> Iterator[str]:
    rows = {key.partition("/")[2]: fact for key, fact in facts.known.items() if key.startswith(f"{stage}/")}
    if not rows:
        return
    yield f"## {'Before' if stage == 'before' else 'Now'}\n"
    yield f"| bundle | pictures seen | {' | '.join(COLUMNS.values())} |"
    yield "|---" * (2 + len(COLUMNS)) + "|"
    for name in sorted(rows):
        cells = [_number(rows[name].get(column)) for column in COLUMNS]
        yield f"| `{rows[name]['bundle']}` | {rows[name]['images_seen']:,} | {' | '.join(cells)} |"
    yield ""


def _how(facts: Facts) -> Iterator[str]:
    for fact in list(facts.known.values())[-1:]:
        yield f"Features: {str(fact['protocol']).split(';')[0]}."
    accuracies = sorted({fact["classifier_accuracy"] for fact in facts.known.values() if "classifier_accuracy" in fact})
    if accuracies:
        right = ", ".join(f"{value:.2%}" for value in accuracies)
        yield f"\n`cls_` scores and label agreement: classifiers trained on real pictures, right on {right} of the real test set."


def _value(facts: Facts, stage: str, name: str, score: str) -> float | None:
    fact: Fact = facts.get(f"{stage}/{name}") or {}
    value = fact.get(score)
    return None if value is None else float(value)


def _number(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
