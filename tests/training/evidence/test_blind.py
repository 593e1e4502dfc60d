"""A blind sheet shows what bundles make, does not tell which is which, and counts what a judge said."""

from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from training.errors import EvaluationError
from training.evidence import blind
from training.evidence.blind import CAPTION, COLUMNS, GAP, ZOOM, first_is_left, judge, main, sheet

MNIST = Path("models/exports/mnist-gan")


def test_who_always_names_the_first_or_the_second_is_counted_so() -> None:
    """Answers are counted by the order they were drawn with, blanks and small letters or not."""
    left = first_is_left(40, 3)
    for_first = "".join("L" if is_left else "r" for is_left in left)
    for_second = for_first.upper().translate(str.maketrans("LR", "RL"))
    assert judge(f"{for_first[:10]} {for_first[10:]}\n", 3).preferred == 40
    assert judge(for_second, 3).preferred == 0
    assert first_is_left(12, 3) == left[:12]
    assert 10 <= sum(left) <= 30


def test_a_share_has_an_interval_that_never_leaves_its_range() -> None:
    """29 of 80 by Wilson's formula; none and all of them too."""
    assert blind.Verdict(29, 80).interval() == pytest.approx((0.2657, 0.4719), abs=1e-4)
    assert str(blind.Verdict(0, 40)) == "0 of 40: 0% (0% to 9%)"
    assert str(blind.Verdict(40, 40)) == "40 of 40: 100% (91% to 100%)"


@pytest.mark.parametrize("answers", ["LX", "1", " "])
def test_other_letters_are_refused(answers: str) -> None:
    """A slip of the pen is told, not counted as the other side."""
    with pytest.raises(EvaluationError, match="an L or an R a pair"):
        judge(answers, 0)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_shows_each_pair_in_its_order(channels: int) -> None:
    """What is left and right of a pair is what the order says, grey pictures and coloured ones."""
    white, black = torch.ones(7, channels, 8, 8), -torch.ones(7, channels, 8, 8)
    page = np.asarray(sheet(white, black, order=5))
    for index, white_is_left in enumerate(first_is_left(7, 5)):
        y = index // COLUMNS * (8 * ZOOM + GAP + CAPTION) + CAPTION
        x = index % COLUMNS * (16 * ZOOM + GAP)
        halves = page[y : y + 8 * ZOOM, x : x + 8 * ZOOM], page[y : y + 8 * ZOOM, x + 8 * ZOOM : x + 16 * ZOOM]
        assert [half.mean() for half in halves] == ([255, 0] if white_is_left else [0, 255])


def test_one_command_draws_a_sheet_and_counts(tmp_path: Path) -> None:
    """Two shipped bundles, drawn as a server draws them; the same order is the same file, another one another."""
    files = [tmp_path / name for name in ("one.png", "again.png", "other.png")]
    for file, order in zip(files, (1, 1, 2), strict=True):
        main(MNIST, MNIST.with_name("mnist-cgan"), order=order, answers="", data=None, out=file)
    one, again, other = (np.asarray(Image.open(file)) for file in files)
    assert (one == again).all()
    assert (one != other).any()
    app = typer.Typer()
    app.command()(main)
    said = CliRunner().invoke(app, [str(MNIST), "--order", "1", "--answers", "LLRR"])
    assert said.output.startswith(f"{judge('LLRR', 1).preferred} of 4: ")
    slip = CliRunner().invoke(app, [str(MNIST), "--answers", "LX"])
    assert slip.exit_code == 2
    assert "an L or an R a pair" in slip.output
