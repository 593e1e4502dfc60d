"""A generator that knows training pictures by heart is told from one that does not."""

import torch

from training.data.dataset import Dataset
from training.evaluate import copies


def noise(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=16, mode="bilinear")


def test_copies_are_found_mirrored_ones_too() -> None:
    """Training pictures turned left to right are all suspicious; new pictures hardly ever are; real ones skip themselves."""
    pixels = ((noise(60, 0) + 1) * 127.5).round().to(torch.uint8)
    train = Dataset(pixels, None, ())
    real = train.batch(torch.arange(40)).pictures
    theirs = copies.of_real(real, train, mirrored=True)
    learned = copies.of_samples(real.flip(3), train, mirrored=True)
    assert float(learned.distance.max()) < 1e-2
    assert copies.suspicious(learned, theirs) == 1.0
    fresh = copies.of_samples(noise(40, 1), train, mirrored=True)
    assert copies.suspicious(fresh, theirs) < 0.5
    assert float(theirs.distance.min()) > 0.1
    assert copies.sheet(real.flip(3), learned, 5).shape == (10, 3, 16, 16)


def test_a_whole_set_of_twins_has_no_suspects() -> None:
    """Where real pictures have no distance to each other, no sample is called a copy for it."""
    same = Dataset(torch.full((20, 3, 16, 16), 7, dtype=torch.uint8), None, ())
    theirs = copies.of_real(same.batch(torch.arange(20)).pictures, same, mirrored=False)
    ours = copies.of_samples(noise(20, 2), same, mirrored=False)
    assert copies.suspicious(ours, theirs) == 0.0
