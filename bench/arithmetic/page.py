"""docs/evidence/arithmetic.md: what was measured of sums, directions and walks, beside their pictures."""

from pathlib import Path

import numpy as np

from bench.arithmetic.sheets import Sheets
from bench.arithmetic.trials import (
    CLEAR,
    MAN,
    MAN_GLASSES,
    STRIKING,
    SURE,
    WOMAN,
    Laboratory,
    arithmetic,
    around,
    by_direction,
    result_of,
    trials,
)
from models.mathematics.directions import Direction, read_directions

PLAIN_HEAD = ("| way | called woman with glasses, 95 % interval |", "|---|---|")
STRAIGHT_HEAD = (
    "| way | called woman with glasses, 95 % interval: in *w*, the bundle's straightened latents | "
    "in *z*, the latents the network was trained with |",
    "|---|---|---|",
)
WALKS = """## Walks and a turn vector

Seeds 0 to 4 on great circles:

![walk](arithmetic/walk.webp)

Turn vector: of 4,000 seeds the mean of the four most and of the four least along the strongest left-right \
difference of the pictures ({turn:.1%} of that difference's variance; it mixes pose with light), then a walk \
from one mean to the other and, below, the same vector added to other seeds:

![turn](arithmetic/turn.webp)
"""


def write(laboratory: Laboratory, out: Path) -> str:
    """Measures everything, draws the sheets, and writes the page; its text."""
    sheets = Sheets(laboratory.lens, out / "arithmetic")
    shipped = read_directions(laboratory.lens.bundle)
    parts = (
        _introduction(laboratory),
        _sums(laboratory, sheets, shipped["eyeglasses"]),
        _directions(sheets, list(shipped.values())),
        _walks(laboratory, sheets),
    )
    text = "\n".join(parts)
    (out / "arithmetic.md").write_text(text)
    return text


def _introduction(laboratory: Laboratory) -> str:
    """Who chooses and judges, how often chance is right."""
    found, accuracy = laboratory.found, laboratory.lens.classifier.accuracy
    right = ", ".join(f"{share:.1%} ({name.replace('_', ' ')})" for name, share in accuracy.items())
    sure = ", ".join(f"{len(laboratory.seeds(c))} {c.name}" for c in (MAN_GLASSES, MAN, WOMAN))
    base = ((found.logits[:, laboratory.glasses] > 0) & (found.logits[:, laboratory.male] < 0)).mean()
    return (
        "# Latent arithmetic, measured\n\n"
        f"Bundle `{laboratory.lens.bundle.reference}`. `make evidence-arithmetic` writes this page and its pictures again.\n\n"
        f"An attribute classifier, trained on real faces and right on people it never saw in {right} of cases (balanced), "
        "looks at generated pictures. It chooses the exemplars and judges the results; nobody chooses a picture by hand. "
        f"Of {len(found.latents):,} seeds it is sure (|logit| > {SURE:g}) of {sure}. "
        f"It calls {base:.1%} of all seeds a woman with glasses; that is what chance gives.\n"
    )


def _sums(laboratory: Laboratory, sheets: Sheets, glasses: Direction) -> str:
    """The table of sums, and the first four of them as pictures."""
    strength, moved = by_direction(laboratory, glasses.vector)
    near = around(laboratory)
    first = trials(laboratory, 3)[:4]
    for k, trial in enumerate(first):
        sheets.equation(f"equation-{k}.webp", trial.seeds, result_of(laboratory, trial))
    lines = [
        "## man with glasses - man + woman",
        "",
        *(STRAIGHT_HEAD if laboratory.turns else PLAIN_HEAD),
        *rows(laboratory),
        f"| `woman + {strength:g} * dir(eyeglasses)` | {interval(moved)} |{' |' if laboratory.turns else ''}",
        "",
        f"Around results that are women with glasses, {near:.1%} of the eight neighbours at ±0.25 are too. "
        "The strength of the direction was chosen on one half of the women and measured on the other.",
        "",
        "The first four trials, good or bad; exemplars stand above their means, the result is in the middle of its 3x3:",
        "",
        *(f"![equation {k}](arithmetic/equation-{k}.webp)" for k in range(len(first))),
        "",
    ]
    return "\n".join(lines)


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


def interval(hits: np.ndarray) -> str:
    """Share and its 95 % Wilson interval."""
    n, p, z = len(hits), float(hits.mean()), 1.96
    centre, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)
    return f"{p:.1%} ({low:.1%} to {high:.1%}, n = {n})"


def _directions(sheets: Sheets, shipped: list[Direction]) -> str:
    """The table of the shipped directions, and a row of pictures for each."""
    sheets.directions("directions.webp", shipped, range(4))
    lines = [
        "## Directions",
        "",
        "Learned and turned by gradients with another classifier (`ganymede directions learn`), measured by the one above, from "
        "which nothing was learned. A flip: within ±6 units the classifier's answer changes; `others stay`: at such a place the "
        "other three answers are as they were. Over 500 other seeds. Cosine: to what the linear model said.",
        "",
        "| direction | flips | flips, others stay | to yes | to no | had it before | linear share | cosine |",
        "|---|---|---|---|---|---|---|---|",
        *(_direction_row(d.name, d.measured) for d in shipped),
        "",
        "Rows: eyeglasses, smiling, male, blond of seed 0; then of seed 1, and so on; columns -3 to 3 units.",
        "",
        "![directions](arithmetic/directions.webp)",
        "",
    ]
    return "\n".join(lines)


def _direction_row(name: str, measured: dict[str, float]) -> str:
    keys = ("flips", "flips_others_stay", "flips_to_yes", "flips_to_no", "share_before", "linear_share")
    return (
        f"| {name} | " + " | ".join(f"{measured[key]:.1%}" for key in keys) + f" | {measured['cosine_to_linear']:.2f} |"
    )


def _walks(laboratory: Laboratory, sheets: Sheets) -> str:
    """Great circles through five seeds, and the turn vector."""
    sheets.walk("walk.webp", [0, 1, 2, 3, 4])
    return WALKS.format(turn=sheets.turn("turn.webp", laboratory.found.latents[:4000]))
