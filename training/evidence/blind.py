"""Two bundles told apart by eye: `python -m training.evidence.blind BUNDLE [OTHER]` draws a sheet, `--answers` counts.

A numbered pair shows a picture of each, of seeds that nobody chose, in an order that the sheet does not tell; a judge
writes down which looks more like a real one, L or R. Without OTHER the other pictures are real ones of the set it learned from:
those that were held out, where any were.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image, ImageDraw
from scipy.stats import binomtest
from torch import Tensor

from models.bundle import read_bundle
from training.errors import EvaluationError
from training.evaluate.material import both_splits, draw
from training.evidence.pictures import data_of
from training.run import samples

PAIRS, COLUMNS, ZOOM = 40, 5, 2
GAP, CAPTION = 8, 14


@dataclass(frozen=True)
class Verdict:
    """How many of `pairs` pictures of the first bundle were taken for the more real ones."""

    preferred: int
    pairs: int

    def interval(self) -> tuple[float, float]:
        """Where the share lies, 95 %, by Wilson (1927): it stays between 0 and 1 and holds for few pairs."""
        found = binomtest(self.preferred, self.pairs).proportion_ci(method="wilson")
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.preferred} of {self.pairs}: {self.preferred / self.pairs:.0%} ({low:.0%} to {high:.0%})"


def first_is_left(pairs: int, order: int) -> list[bool]:
    """Whether the first bundle's picture is the left one, pair by pair, by the number of an order."""
    return [bool(side) for side in np.random.default_rng(order).integers(0, 2, pairs)]


def judge(answers: str, order: int) -> Verdict:
    """Counts answers, an L or R a pair. Raises EvaluationError for anything else."""
    said = "".join(answers.upper().split())
    if not said or set(said) - {"L", "R"}:
        raise EvaluationError("answers are an L or an R a pair, such as LRRL")
    left = first_is_left(len(said), order)
    return Verdict(sum((a == "L") == is_left for a, is_left in zip(said, left, strict=True)), len(said))


def sheet(first: Tensor, second: Tensor, order: int) -> Image.Image:
    """The pairs of two sets of pictures [N, C, S, S] in [-1, 1], numbered from 1, twice as large as they are."""
    left = torch.tensor(first_is_left(len(first), order)).view(-1, 1, 1, 1)
    pairs = torch.cat([torch.where(left, first, second), torch.where(left, second, first)], 3)
    tiles = samples.to_uint8(pairs.repeat_interleave(ZOOM, 2).repeat_interleave(ZOOM, 3))
    height, width = tiles.shape[1] + GAP + CAPTION, tiles.shape[2] + GAP
    page = Image.new("RGB", (COLUMNS * width, -(-len(tiles) // COLUMNS) * height), "white")
    pen = ImageDraw.Draw(page)
    for index, tile in enumerate(tiles):
        x, y = index % COLUMNS * width, index // COLUMNS * height
        pen.text((x, y), str(index + 1), fill="black")
        page.paste(Image.fromarray(tile.squeeze()), (x, y + CAPTION))
    return page


def pictures_of(bundle: Path, count: int, first_seed: int) -> Tensor:
    """What the bundle makes of seeds in a row, labels in turn."""
    return draw(read_bundle(bundle), count, first_seed)[0]


def real_pictures(bundle: Path, count: int, order: int, data: Path | None) -> Tensor:
    """Of the set that the bundle learned from, at its size; of what was held out, where anything was."""
    opened = read_bundle(bundle)
    _, held_out = both_splits(opened, data_of(opened, data))
    chosen = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(order))[:count]
    return held_out.batch(chosen).pictures


def main(
    bundle: Annotated[Path, typer.Argument(help="The bundle that is judged.")],
    other: Annotated[Path | None, typer.Argument(help="What it stands beside; real pictures if left out.")] = None,
    order: Annotated[int, typer.Option(help="Which order of left and right, and which seeds: another sheet.")] = 0,
    answers: Annotated[str, typer.Option(help="An L or an R a pair: counts them and draws nothing.")] = "",
    data: Annotated[Path | None, typer.Option(help="Folder of the data sets, where recipes name another.")] = None,
    out: Annotated[Path, typer.Option(help="The sheet.")] = Path("runs/blind.png"),
) -> None:
    """Draw a blind sheet, or count what was said of it."""
    if answers:
        try:
            typer.echo(str(judge(answers, order)))
        except EvaluationError as error:
            raise typer.BadParameter(str(error)) from None
        return
    seeds = order * PAIRS
    beside = real_pictures(bundle, PAIRS, order, data) if other is None else pictures_of(other, PAIRS, seeds)
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet(pictures_of(bundle, PAIRS, seeds), beside, order).save(out)


if __name__ == "__main__":
    typer.run(main)
