"""The page docs/evidence/improved.md, written from measured facts alone; what is not there is said not to be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev

from training.evidence.ablation import VARIANTS
from training.evidence.facts import Fact, Facts

MISSING = "not run"
PAPER_SSL = {"mnist-ssl": "93 ± 6.5 (100 labels, 300 epochs)", "fashion-ssl": "no figure"}
PAPER_TABLE = {
    "everything": "8.09",
    "-VBN+BN": "7.54",
    "-L+HA": "6.86",
    "-LS": "6.83",
    "-L": "4.36",
    "-MBF": "3.87",
    "-L+FM": "no figure",
}
SHOWN = (
    "cls_score", "cls_score_of_real", "cls_frechet", "cls_kid", "cls_precision", "cls_recall", "nn_two_sample",
    "nn_distance_ratio", "classes_covered", "label_agreement", "trained_on_samples", "nn_classifier",
    "parzen_log_likelihood",
)  # fmt: skip
HEAD = """# Improved Techniques: what was measured

Written by `python -m training.evidence.improved` (`make evidence`), which keeps every fact in
[improved.jsonl](improved.jsonl) and, run again, measures what is still missing here. `cls_*` scores come from a classifier
trained on the real set; they are not Inception scores and must not be compared with any. "Paper" is Salimans et al. 2016
unless another is named.
"""


def write_page(path: Path, facts: Facts) -> None:
    """Writes the page."""
    parts = [HEAD, *_semi_supervised(facts), *_bundles(facts), *_ablation(facts), *_probes(facts), *_inside(facts)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _semi_supervised(facts: Facts) -> Iterator[str]:
    yield "## Semi-supervised classification\n"
    yield "Errors on the whole test set of the exported classifier, through ONNX Runtime; one seed, one choice of labels.\n"
    yield "| bundle | labels | steps | wrong | of | paper |\n|---|---|---|---|---|---|"
    for name, paper in PAPER_SSL.items():
        fact = facts.get(f"test_error.{name}")
        ours = [MISSING] * 4 if fact is None else [str(fact[key]) for key in ("labels", "steps", "wrong", "of")]
        yield f"| {name} | {' | '.join(ours)} | {paper} |"
    yield (
        "\nThe shipped mnist-ssl run was stopped at 7,377 steps and its rate brought to zero over the last 223, to fit the "
        "time there was.\n"
    )
    yield (
        "Not run: 20, 50 and 200 labels, further seeds, the ensemble of ten, Fashion-MNIST with 100 labels, and the long "
        "CIFAR-10 run (`train cifar10-ssl` on a GPU). The paper's 300 epochs: "
        "`train mnist-ssl run.steps=180000 run.batch=100 optimizer.decay_from=1`.\n"
    )


def _bundles(facts: Facts) -> Iterator[str]:
    yield "## Shipped bundles\n"
    found = {key.removeprefix("scores."): fact for key, fact in facts.known.items() if key.startswith("scores.")}
    if not found:
        yield f"{MISSING}.\n"
        return
    columns = {name: {score["name"]: score for score in fact["scores"]} for name, fact in found.items()}
    yield f"| score | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}"
    for score in SHOWN:
        cells = [f"{column[score]['value']:.4g}" if score in column else "–" for column in columns.values()]
        yield f"| {score} | {' | '.join(cells)} |"
    first = next(iter(columns.values()))
    yield f"\nProtocol of cls_score: {first['cls_score']['protocol']}.\n"
    for name in columns:
        yield f"Samples of {name} (first column) and their nearest training pictures: ![neighbours]({name}-neighbours.png)\n"


def _ablation(facts: Facts) -> Iterator[str]:
    yield "## Which technique buys what\n"
    yield (
        "A 16×16 DCGAN, width 16, every run the same number of steps; mean over the seeds that ran (± their standard "
        "deviation). Paper: Inception score on CIFAR-10.\n"
    )
    yield "| variant | MNIST cls_score | MNIST cls_frechet | Fashion cls_score | Fashion cls_frechet | paper |"
    yield "|---|---|---|---|---|---|"
    for variant in VARIANTS:
        cells = [
            _over_seeds(_runs(facts, f"ablation.{title}.{variant}."), score)
            for title in ("mnist", "fashion")
            for score in ("cls_score", "cls_frechet")
        ]
        yield f"| {variant} | {' | '.join(cells)} | {PAPER_TABLE[variant]} |"
    steps = sorted({fact["steps"] for key, fact in facts.known.items() if key.startswith("ablation.")})
    yield f"\nSteps of each run: {', '.join(map(str, steps)) or MISSING}. So few steps rank early progress, not the end.\n"


def _runs(facts: Facts, prefix: str) -> list[Fact]:
    return [fact for key, fact in facts.known.items() if key.startswith(prefix)]


def _over_seeds(runs: list[Fact], score: str) -> str:
    values = [run[score] for run in runs]
    if not values:
        return MISSING
    return f"{mean(values):.3g}" + (f" ± {stdev(values):.2g} (n={len(values)})" if len(values) > 1 else " (n=1)")


def _probes(facts: Facts) -> Iterator[str]:
    yield "## Representation: pooled features and a linear SVM\n"
    fact = facts.get("representation")
    if fact is None:
        yield f"{MISSING}.\n"
        return
    found = fact["found"]
    yield (
        f"Discriminator of {fact['bundle']} (trained with labels), every layer max-pooled to 4×4; accuracy on "
        f"{fact['unseen']} Fashion-MNIST test pictures. Paper (Radford et al. 2016): 82.8 % on CIFAR-10, not repeated here.\n"
    )
    yield f"| features | numbers | 1,000 labels | {fact['known']:,} labels |\n|---|---|---|---|"
    for name in ("trained", "random", "pixels"):
        few, many = found[f"{name}.1000"], found[f"{name}.{fact['known']}"]
        yield f"| {name} | {found[f'{name}.size']} | {few:.2%} | {many:.2%} |"
    yield "\nCIFAR-10 and the whole training set: not run.\n"


def _inside(facts: Facts) -> Iterator[str]:
    yield "## Looking inside\n"
    fact = facts.get("guided")
    if fact is None:
        yield f"Guided backpropagation: {MISSING}.\n"
    else:
        yield (
            f"Guided backpropagation, {fact['bundle']}: the six maps of the last convolution with the largest responses over "
            f"{fact['pictures']} training pictures, five pictures each, the gradient beside each. Trained, then random:\n"
        )
        yield "![trained](guided-trained.png) ![random](guided-random.png)\n"
    forgotten = facts.get("forget")
    if forgotten is None:
        yield f"Forgetting eyeglasses: {MISSING}; `ganymede inside forget` does it with an attribute classifier.\n"
        return
    yield (
        f"Forgetting {forgotten['attribute']}, {forgotten['bundle']}: {forgotten['before']:.1%} of {forgotten['samples']} "
        f"samples show it, {forgotten['after']:.1%} without maps {', '.join(map(str, forgotten['maps']))}, "
        f"{forgotten['control']:.1%} without as many others. Above: with, below: without.\n"
    )
    yield "![forgotten](forget-eyeglasses.png)\n"
