"""Augmentation: what each step may do to a picture, and to how many."""

import pytest
import torch

from training.compute.randomness import StepRandom
from training.methods.augment import POLICIES, augment, gathered, sliced


@pytest.mark.parametrize("name", POLICIES)
def test_augmentation_keeps_shape_passes_gradients_and_differs_by_picture(name: str) -> None:
    """The generator learns through it; each picture gets its own draw; the same step repeats it."""
    pictures = torch.rand(6, 3, 16, 16).mul(2).sub(1).mul(0.5)[:1].repeat(6, 1, 1, 1).requires_grad_(True)
    seen = augment(pictures, [name], StepRandom(0, 1), "a")
    assert seen.shape == pictures.shape
    assert torch.equal(seen, augment(pictures, [name], StepRandom(0, 1), "a"))
    assert len({float(picture.sum()) for picture in seen.detach()}) > 1
    (gradient,) = torch.autograd.grad(seen.sum(), pictures)
    assert gradient.abs().sum() > 0


def test_translation_moves_and_fills_with_black() -> None:
    """Every picture is the original, shifted by at most an eighth of its side."""
    picture = torch.rand(1, 1, 16, 16)
    padded = torch.nn.functional.pad(picture + 1, [2] * 4) - 1
    for moved in augment(picture.repeat(8, 1, 1, 1), ["translation"], StepRandom(0, 0), "a"):
        windows = (padded[0, :, y : y + 16, x : x + 16] for y in range(5) for x in range(5))
        assert any(torch.allclose(moved, window) for window in windows)


def test_windows_are_the_same_on_every_device() -> None:
    """The way for processors and the way for GPUs cut the same windows, of pictures that are not square too."""
    padded = torch.rand(5, 3, 12, 15)
    shift = torch.stack([torch.tensor([0, 1, 2, 3, 4]), torch.tensor([4, 0, 3, 1, 2])])
    assert torch.equal(sliced(padded, shift, 8, 11), gathered(padded, shift, 8, 11))
    assert torch.equal(sliced(padded, shift, 8, 11)[1], padded[1, :, 1:9, 0:11])


def test_colours_stay_within_their_bounds_and_use_them() -> None:
    """Brightness up to half a unit, contrast 0.5 … 1.5 around the picture's middle, saturation 0 … 2 of colours alone."""
    grey = torch.rand(1, 1, 8, 8) - 0.25
    seen = augment(grey.repeat(400, 1, 1, 1), ["color"], StepRandom(0, 0), "a")
    moved = seen.mean((1, 2, 3)) - grey.mean()
    contrast = (seen - seen.mean((1, 2, 3), keepdim=True)) / (grey - grey.mean())
    assert torch.allclose(contrast, contrast[:, :, :1, :1].expand_as(contrast), atol=1e-2)
    for found, low, high in ((moved, -0.5, 0.5), (contrast[:, 0, 0, 0], 0.5, 1.5)):
        assert low - 0.01 <= found.min() < low + 0.05
        assert high - 0.05 < found.max() <= high + 0.01
    colour = torch.tensor([0.5, -0.2, -0.3]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    seen = augment(colour.repeat(400, 1, 1, 1), ["color"], StepRandom(0, 0), "a")
    strength = ((seen - seen.mean(1, keepdim=True)) / colour)[:, 0, 0, 0]
    assert 0 <= strength.min() < 0.05
    assert 2.4 < strength.max() <= 3
    assert torch.allclose(seen.mean((1, 2, 3)), moved, atol=1e-5), "no colour makes a picture lighter or darker"


@pytest.mark.parametrize("side", [8, 13, 16])
def test_the_cutout_is_a_square_of_half_the_side(side: int) -> None:
    """Grey, anywhere, cut by the edge where it lies there; everything else as it was."""
    seen = augment(torch.ones(300, 3, side, side), ["cutout"], StepRandom(0, 0), "a")
    assert set(seen.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(seen[:, 0], seen[:, 2])
    hidden = seen[:, 0] == 0
    rows, columns = hidden.any(2).sum(1), hidden.any(1).sum(1)
    assert torch.equal(rows * columns, hidden.sum((1, 2))), "a rectangle"
    half = (side + 1) // 2 // 2
    assert {int(rows.max()), int(columns.max())} == {2 * half}
    assert {int(rows.min()), int(columns.min())} == {half}
    assert hidden.float().mean(0).min() > 0, "every place is hidden in some picture"


def test_as_many_pictures_are_changed_as_were_asked_for() -> None:
    """None at 0, all at 1, about a share in between, each step for itself; the others bit for bit."""
    pictures = torch.rand(400, 1, 8, 8)

    def changed(share: float, policy: list[str]) -> torch.Tensor:
        seen = augment(pictures, policy, StepRandom(0, 0), "a", torch.tensor(share))
        return (seen != pictures).flatten(1).any(1).float().mean()

    assert changed(0.0, ["color", "cutout"]) == 0
    assert changed(1.0, ["color"]) == 1
    assert changed(0.3, ["color"]) == pytest.approx(0.3, abs=0.07)
    assert changed(0.3, ["color", "cutout"]) == pytest.approx(1 - 0.7**2, abs=0.07)
