"""Latent arithmetic on faces, chosen and judged by a classifier: writes docs/evidence/arithmetic.md and its pictures.

`python -m bench.arithmetic_evidence faces64 --attributes ../shared/data/faces/attributes.csv` (`make evidence-arithmetic`).
No picture is chosen by hand: exemplars are drawn at random from the seeds the classifier is sure of, with a fixed seed.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bench.evidence_sheets import Sheets
from models.mathematics.directions import read_directions
from models.mathematics.latents import Vector, draw, mean, normalise
from models.mathematics.walks import neighbours
from training.classifiers.directions import Lens, Study, study
from training.cli.directions import DEFAULT_NAMES, obtain_classifier, open_bundle
from training.export.straight import turns_of
from training.networks.straightening import Straightening

OUT = Path(__file__).parent.parent / "docs" / "evidence"
SURE, CLEAR, STRIKING = 1.0, 3.0, 6.0
"""|logit| from which the classifier is sure, a picture is a clear example, a striking one; logits' own deviation is 6."""
TRIALS = 200
RANDOM = 0
PLAIN_HEAD = ("| way | called woman with glasses, 95 % interval |", "|---|---|")
STRAIGHT_HEAD = (
    "| way | called woman with glasses, 95 % interval: in *w*, the bundle's straightened latents | "
    "in *z*, the latents the network was trained with |",
    "|---|---|---|",
)
STRENGTHS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)


@dataclass(frozen=True)
class Concept:
    """Seeds the classifier is sure of: |logit| of glasses and male above `SURE`, with these signs."""

    name: str
    glasses: int
    male: int


MAN_GLASSES, MAN, WOMAN = Concept("man with glasses", 1, 1), Concept("man", -1, 1), Concept("woman", -1, -1)


class Laboratory:
    """A generator, a classifier, and the seeds of every concept."""

    def __init__(self, lens: Lens, found: Study) -> None:
        self.lens, self.found = lens, found
        self.prior = lens.bundle.manifest.latent
        self.turns = turns_of(lens.bundle)
        self.glasses, self.male = found.names.index("eyeglasses"), found.names.index("male")

    def seeds(self, concept: Concept, sure: float = SURE) -> np.ndarray:
        """Seeds of a concept, ascending."""
        glasses = concept.glasses * self.found.logits[:, self.glasses] > sure
        return np.flatnonzero(glasses & (concept.male * self.found.logits[:, self.male] > sure))

    def hits(self, latents: Vector) -> np.ndarray:
        """Which latents' pictures the classifier calls a woman with glasses."""
        logits = self.lens.logits(latents)
        return (logits[:, self.glasses] > 0) & (logits[:, self.male] < 0)


@dataclass(frozen=True)
class Trial:
    """Seeds of the exemplars of one equation: [3 concepts][exemplars]."""

    seeds: tuple[tuple[int, ...], ...]


def trials(laboratory: Laboratory, exemplars: int, sure: float = SURE) -> list[Trial]:
    """Random exemplars of man with glasses, man, woman for every trial."""
    random = np.random.RandomState(RANDOM)
    pools = [laboratory.seeds(concept, sure) for concept in (MAN_GLASSES, MAN, WOMAN)]
    picks = [[random.choice(pool, exemplars, replace=False) for pool in pools] for _ in range(TRIALS)]
    return [Trial(tuple(tuple(int(seed) for seed in part) for part in pick)) for pick in picks]


def result_of(laboratory: Laboratory, trial: Trial, turns: Straightening | None = None) -> Vector:
    """mean(man with glasses) - mean(man) + mean(woman), back on the prior; with `turns` computed behind them, in z."""
    parts = [draw(laboratory.prior, part) for part in trial.seeds]
    with torch.no_grad():
        if turns is not None:
            parts = [turns(torch.from_numpy(part)).numpy() for part in parts]
        a, b, c = (mean(list(part)) for part in parts)
        found = normalise(laboratory.prior, a - b + c)
        return found if turns is None else turns.inverse(torch.from_numpy(found[None]))[0].numpy()


def arithmetic(laboratory: Laboratory, exemplars: int, sure: float = SURE, *, behind: bool = False) -> np.ndarray:
    """Which trials give a woman with glasses; `behind` the turns, in the space the generator was trained with."""
    turns = laboratory.turns if behind else None
    return laboratory.hits(np.stack([result_of(laboratory, t, turns) for t in trials(laboratory, exemplars, sure)]))


def rows(laboratory: Laboratory) -> list[str]:
    """The table's rows: what was averaged, and how often the sum is a woman with glasses, in w and in z."""
    ways = {
        "means of three exemplars each (the DCGAN paper's protocol), all that the classifier is sure of": (3, SURE),
        f"the same of clear exemplars (logits beyond ±{CLEAR:g})": (3, CLEAR),
        f"the same of striking exemplars (beyond ±{STRIKING:g}), as a person would choose them": (3, STRIKING),
        "single exemplars": (1, SURE),
    }
    both = (False, True) if laboratory.turns else (False,)
    return [
        f"| {way} | " + " | ".join(interval(arithmetic(laboratory, n, sure, behind=behind)) for behind in both) + " |"
        for way, (n, sure) in ways.items()
    ]


def around(laboratory: Laboratory) -> float:
    """Share of the eight neighbours at ±0.25, over the trials whose centre is a woman with glasses."""
    centres = np.stack([result_of(laboratory, trial) for trial in trials(laboratory, 3)])
    centres = centres[laboratory.hits(centres)][:40]
    near = [neighbours(laboratory.prior, c, 0.25, 8, k, on_prior=True) for k, c in enumerate(centres)]
    return float(laboratory.hits(np.concatenate(near)).mean()) if len(near) else float("nan")


def by_direction(laboratory: Laboratory, vector: Vector) -> tuple[float, np.ndarray]:
    """The strength that does best on the first half of the women, and what it does on the second half."""
    women = draw(laboratory.prior, [trial.seeds[2][0] for trial in trials(laboratory, 1)])
    choose, test = women[: TRIALS // 2], women[TRIALS // 2 :]

    def moved(rows: Vector, strength: float) -> np.ndarray:
        return laboratory.hits(np.stack([normalise(laboratory.prior, row + strength * vector) for row in rows]))

    best = max(STRENGTHS, key=lambda strength: moved(choose, strength).mean())
    return best, moved(test, best)


def interval(hits: np.ndarray) -> str:
    """Share and its 95 % Wilson interval."""
    n, p, z = len(hits), float(hits.mean()), 1.96
    centre, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)
    return f"{p:.1%} ({low:.1%} to {high:.1%}, n = {n})"


def write(laboratory: Laboratory, out: Path) -> str:
    """Measure everything, draw the sheets, and write the page."""
    bundle, found = laboratory.lens.bundle, laboratory.found
    table = rows(laboratory)
    shipped = read_directions(bundle)
    strength, moved = by_direction(laboratory, shipped["eyeglasses"].vector)
    sheets = Sheets(laboratory.lens, out / "arithmetic")
    first = trials(laboratory, 3)[:4]
    for k, trial in enumerate(first):
        sheets.equation(f"equation-{k}.webp", trial.seeds, result_of(laboratory, trial))
    sheets.directions("directions.webp", list(shipped.values()), range(4))
    sheets.walk("walk.webp", [0, 1, 2, 3, 4])
    turn = sheets.turn("turn.webp", found.latents[:4000])
    base = ((found.logits[:, laboratory.glasses] > 0) & (found.logits[:, laboratory.male] < 0)).mean()
    counts = {c.name: len(laboratory.seeds(c)) for c in (MAN_GLASSES, MAN, WOMAN)}
    lines = [
        "# Latent arithmetic, measured",
        "",
        f"Bundle `{bundle.reference}`. `make evidence-arithmetic` writes this page and its pictures again.",
        "",
        "An attribute classifier, trained on real faces and right on people it never saw in "
        + ", ".join(f"{v:.1%} ({k.replace('_', ' ')})" for k, v in laboratory.lens.classifier.accuracy.items())
        + " of cases (balanced), looks at generated pictures. It chooses the exemplars and judges the results; nobody "
        f"chooses a picture by hand. Of {len(found.latents):,} seeds it is sure (|logit| > {SURE:g}) of "
        + ", ".join(f"{count} {name}" for name, count in counts.items())
        + f". It calls {base:.1%} of all seeds a woman with glasses; that is what chance gives.",
        "",
        "## man with glasses - man + woman",
        "",
        *(STRAIGHT_HEAD if laboratory.turns else PLAIN_HEAD),
        *table,
        f"| `woman + {strength:g} * dir(eyeglasses)` | {interval(moved)} |{' |' if laboratory.turns else ''}",
        "",
        f"Around results that are women with glasses, {around(laboratory):.1%} of the eight neighbours at ±0.25 are too. "
        "The strength of the direction was chosen on one half of the women and measured on the other.",
        "",
        "The first four trials, good or bad; exemplars stand above their means, the result is in the middle of its 3x3:",
        "",
        *(f"![equation {k}](arithmetic/equation-{k}.webp)" for k in range(len(first))),
        "",
        "## Directions",
        "",
        "Learned and turned by gradients with another classifier (`ganymede directions learn`), measured by the one above, from "
        "which nothing was learned. A flip: within ±6 units the classifier's answer changes; `others stay`: at such a place the "
        "other three answers are as they were. Over 500 other seeds. Cosine: to what the linear model said.",
        "",
        "| direction | flips | flips, others stay | to yes | to no | had it before | linear share | cosine |",
        "|---|---|---|---|---|---|---|---|",
        *(_direction_row(d.name, d.measured) for d in shipped.values()),
        "",
        "Rows: eyeglasses, smiling, male, blond of seed 0; then of seed 1, and so on; columns -3 to 3 units.",
        "",
        "![directions](arithmetic/directions.webp)",
        "",
        "## Walks and a turn vector",
        "",
        "Seeds 0 to 4 on great circles:",
        "",
        "![walk](arithmetic/walk.webp)",
        "",
        "Turn vector: of 4,000 seeds the mean of the four most and of the four least along the strongest left-right "
        f"difference of the pictures ({turn:.1%} of that difference's variance; it mixes pose with light), then a walk "
        "from one mean to the other and, below, the same vector added to other seeds:",
        "",
        "![turn](arithmetic/turn.webp)",
        "",
    ]
    text = "\n".join(lines)
    (out / "arithmetic.md").write_text(text)
    return text


def _direction_row(name: str, measured: dict[str, float]) -> str:
    keys = ("flips", "flips_others_stay", "flips_to_yes", "flips_to_no", "share_before", "linear_share")
    return (
        f"| {name} | " + " | ".join(f"{measured[key]:.1%}" for key in keys) + f" | {measured['cosine_to_linear']:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", default="faces64")
    parser.add_argument("--attributes", type=Path, default=Path("../shared/data/faces/attributes.csv"))
    parser.add_argument("--classifier", type=Path, default=Path("runs/attributes-second.safetensors"))
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    bundle = open_bundle(options.bundle)
    names = tuple(name.partition("=")[2] or name for name in DEFAULT_NAMES)
    classifier = obtain_classifier(bundle, options.attributes, names, options.classifier)
    lens = Lens(bundle, classifier)
    print(write(Laboratory(lens, study(lens, options.samples, print)), options.out))


if __name__ == "__main__":
    main()
