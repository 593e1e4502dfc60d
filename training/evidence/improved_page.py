"""The page docs/evidence/improved.md, written from measured facts alone; what is not there is said not to be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev

from training.evidence import few_labels
from training.evidence.ablation import VARIANTS
from training.evidence.facts import MISSING, Fact, Facts, over_seeds
from training.evidence.probes import FEATURES, REGIMES

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
    yield (
        "Shipped bundles: errors on the whole test set of the exported classifier, through ONNX Runtime; label seed 0, run "
        "seed 0.\n"
    )
    yield "| bundle | labels | steps | wrong | of | paper |\n|---|---|---|---|---|---|"
    for name, paper in PAPER_SSL.items():
        fact = facts.get(f"test_error.{name}")
        ours = [MISSING] * 4 if fact is None else [str(fact[key]) for key in ("labels", "steps", "wrong", "of")]
        yield f"| {name} | {' | '.join(ours)} | {paper} |"
    yield (
        "\nmnist-ssl: 80,000 steps of 100 unlabelled pictures for each player (133 epochs) in 74 minutes of a shared core, the "
        "rate constant until step 68,000 and then falling to zero. Watched on 10,000 training pictures whose labels the run "
        "never saw: 442 wrong after 4,558 steps, 213 after 11,102, 179 after 17,727, 150 after 31,374, 138 after 44,148, 129 "
        "after 59,804, 127 at the end. The length was set by the clock; that averaged and last weights erred alike there is "
        "why the rate falls late. No test label chose anything. One run: the paper's figure is a mean of ten.\n"
    )
    yield (
        "The paper's runs are 180,000 steps of 100 pictures at a constant rate. The same length here: "
        "`train mnist-ssl run.steps=180000 optimizer.decay_from=1`.\n"
    )
    yield from _short_runs(facts)


def _short_runs(facts: Facts) -> Iterator[str]:
    yield (
        "Short runs of the same recipes, all of one length; the seed draws the labels too. The averaged classifier, whole "
        "test set; they compare numbers of labels with each other, and only from afar with the paper's long runs.\n"
    )
    yield "| recipe | labels | steps × batch | wrong of 10,000 | paper |\n|---|---|---|---|---|"
    for recipe, labels in sorted(few_labels.ROWS, key=lambda row: (row[0] != "mnist-ssl", row[1])):
        runs = facts.beginning(few_labels.key(recipe, labels, 0).removesuffix("0"))
        length = ", ".join(sorted({f"{run['steps']} × {run['batch']}" for run in runs})) or MISSING
        paper = few_labels.PAPER.get((recipe, labels), "no figure")
        yield f"| {recipe} | {labels} | {length} | {over_seeds(runs, 'wrong', '.0f')} | {paper} |"
    fact = facts.get("few_labels.cifar10-ssl")
    checked = MISSING
    if fact is not None:
        checked = f"{fact['steps']} steps of {fact['batch']} pictures, {fact['wrong']} wrong of {fact['of']} afterwards"
    yield f"\nThat `cifar10-ssl` runs, with its own networks: {checked}. 900 of 1,000 is guessing."
    yield from _cifar_curve(facts)
    yield "Not run: the ensembles of ten, and the paper's ten seeds.\n"


def _cifar_curve(facts: Facts) -> Iterator[str]:
    points = sorted(facts.beginning(f"{few_labels.CURVE}."), key=lambda point: int(point["steps"]))
    if not points:
        yield f"The long CIFAR-10 run (1,200 epochs, `train cifar10-ssl` on a GPU; paper 18.63 ± 2.32 %): {MISSING}.\n"
        return
    first = points[0]
    yield (
        f"\nThe beginning of the long CIFAR-10 run, {first['labels']:,} labels, batches of {first['batch']}, the classifier "
        f"averaged over a half-life of {first['average_images']:,} pictures and at most a twentieth of those seen; the paper's "
        "18.63 ± 2.32 % are of 1,200 epochs.\n"
    )
    yield "| epochs | steps | wrong | share |\n|---|---|---|---|"
    for point in points:
        share = point["wrong"] / point["of"]
        yield f"| {point['epochs']:.2f} | {point['steps']:,} | {point['wrong']} of {point['of']} | {share:.1%} |"
    yield ""


def _bundles(facts: Facts) -> Iterator[str]:
    yield "## Shipped bundles\n"
    found = {key.removeprefix("scores."): fact for key, fact in facts.known.items() if key.startswith("scores.")}
    found = {name: fact for name, fact in found.items() if _of_the_same_weights(fact, facts.get(f"test_error.{name}"))}
    if not found:
        yield f"{MISSING}.\n"
        return
    columns = {name: {score["name"]: score for score in fact["scores"]} for name, fact in found.items()}
    yield f"| score | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}"
    for score in SHOWN:
        cells = [f"{column[score]['value']:.4g}" if score in column else "–" for column in columns.values()]
        yield f"| {score} | {' | '.join(cells)} |"
    for name in PAPER_SSL:
        if name not in columns:
            yield f"\nScores of {name} as it is now: {MISSING}."
    yield "\nProtocol of cls_score (the id is the classifier's file; each was trained from the same recipe):\n"
    for name, column in columns.items():
        yield f"- {name}: {column['cls_score']['protocol']}"
    yield ""
    for name in columns:
        yield f"Samples of {name} (first column) and their nearest training pictures: ![neighbours]({name}-neighbours.png)\n"


def _of_the_same_weights(scores: Fact, errors: Fact | None) -> bool:
    """Scores of a bundle that has been replaced since are not shown beside the new one's errors."""
    return errors is None or scores.get("weights") == errors.get("weights")


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
            over_seeds(facts.beginning(f"ablation.{title}.{variant}."), score)
            for title in ("mnist", "fashion")
            for score in ("cls_score", "cls_frechet")
        ]
        yield f"| {variant} | {' | '.join(cells)} | {PAPER_TABLE[variant]} |"
    steps = sorted({fact["steps"] for key, fact in facts.known.items() if key.startswith("ablation.")})
    yield f"\nSteps of each run: {', '.join(map(str, steps)) or MISSING}. So few steps rank early progress, not the end.\n"


def _probes(facts: Facts) -> Iterator[str]:
    yield "## Representation: pooled features and a linear SVM\n"
    yield (
        "Every layer max-pooled to 4×4, a linear SVM on top (Radford et al. 2016, section 5.1). The paper's discriminator was "
        "trained on ImageNet, ours on what it is asked about.\n"
    )
    yield "| CIFAR-10, features | numbers | 100 a class | 400 a class | 1,000 a class | all 50,000 |\n|---|---|---|---|---|---|"
    fashion, cifar = facts.get("representation"), facts.get("features.cifar10.trained")
    yield "| paper | 28,672 | – | 73.8% ± 0.4 | – | 82.8% |"
    for name in FEATURES:
        yield f"| {name} | {' | '.join(_cifar_cells(facts.get(f'features.cifar10.{name}')))} |"
    if cifar is not None:
        yield (
            f"\nRecipe cifar10-features: without labels, {cifar['steps']:,} steps of {cifar['batch']} pictures; all "
            f"{cifar['unseen']:,} test pictures; few labels drawn three times (± standard deviation)."
        )
    yield "\n| Fashion-MNIST, features | numbers | 1,000 labels | 2,000 labels |\n|---|---|---|---|"
    for name in FEATURES:
        cells = [MISSING] * 3 if fashion is None else _fashion_cells(fashion["found"], name)
        yield f"| {name} | {' | '.join(cells)} |"
    if fashion is not None:
        yield f"\nThe discriminator of {fashion['bundle']}, trained with labels.\n"


def _cifar_cells(fact: Fact | None) -> list[str]:
    if fact is None:
        return [MISSING] * (len(REGIMES) + 2)
    spread = [f"{mean(values):.1%} ± {100 * stdev(values):.1f}" for values in (fact[str(each)] for each in REGIMES)]
    return [f"{fact['size']:,}", *spread, f"{fact['all']:.1%}"]


def _fashion_cells(found: Fact, name: str) -> list[str]:
    return [f"{found[f'{name}.size']:,}", *(f"{found[f'{name}.{count}']:.1%}" for count in (1000, 2000))]


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
    yield "![forgotten](forget-eyeglasses.webp)\n"
