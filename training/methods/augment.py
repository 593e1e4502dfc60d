"""Differentiable augmentation (Zhao et al. 2020, written from the paper): the same kind of change on real and fake.

Works on pictures [N, C, H, W] in [-1, 1]; each picture gets its own draw; gradients flow to the generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from training.compute.randomness import StepRandom

TRANSLATION_SHARE = 0.125  # of the side, in each direction
CUTOUT_SHARE = 0.5  # side of the grey square


def augment(
    pictures: Tensor, policy: Sequence[str], random: StepRandom, purpose: str, probability: Tensor | None = None
) -> Tensor:
    """The pictures after every step of the policy ("color", "translation", "cutout"), in the order given.

    With a `probability` (0-d, 0 … 1) each step changes that share of the pictures and leaves the others as they are.
    """
    for name in policy:
        changed = POLICIES[name](pictures, random, f"{purpose}.{name}")
        if probability is not None:
            drawn = random.uniform(f"{purpose}.{name}.chosen", len(pictures), 1, 1, 1)
            changed = torch.where(drawn < probability, changed, pictures)
        pictures = changed
    return pictures


def color(pictures: Tensor, random: StepRandom, purpose: str) -> Tensor:
    """Brightness +-0.5, saturation 0 … 2 (colour only), contrast 0.5 … 1.5."""
    draws = random.uniform(purpose, 3, len(pictures), 1, 1, 1)
    pictures = pictures + (draws[0] - 0.5)
    if pictures.shape[1] == 3:
        grey = pictures.mean(1, keepdim=True)
        pictures = (pictures - grey) * (draws[1] * 2.0) + grey
    middle = pictures.mean((1, 2, 3), keepdim=True)
    return (pictures - middle) * (draws[2] + 0.5) + middle


def translation(pictures: Tensor, random: StepRandom, purpose: str) -> Tensor:
    """Shifts by up to an eighth of the side; what comes in from outside is -1 (black)."""
    count, _, height, width = pictures.shape
    reach = int(height * TRANSLATION_SHARE + 0.5)
    shift = random.integers(purpose, 2 * reach + 1, 2, count)
    padded = F.pad(pictures + 1.0, [reach] * 4) - 1.0
    # slices are a tenth of the gathering's work; on a GPU they would wait for the draws
    windows = sliced if pictures.device.type == "cpu" else gathered
    return windows(padded, shift, height, width)


def sliced(padded: Tensor, shift: Tensor, height: int, width: int) -> Tensor:
    """The window [C, height, width] of each picture [N, C, H, W] that begins at its row and column, `shift` [2, N]."""
    places = zip(padded.unbind(), shift.t().tolist(), strict=True)
    return torch.stack([picture[:, y : y + height, x : x + width] for picture, (y, x) in places])


def gathered(padded: Tensor, shift: Tensor, height: int, width: int) -> Tensor:
    """The same as `sliced`, without a wait for the numbers in `shift`."""
    count, channels, device = *padded.shape[:2], padded.device
    rows = (torch.arange(height, device=device) + shift[0].unsqueeze(1)).view(count, 1, height, 1)
    columns = (torch.arange(width, device=device) + shift[1].unsqueeze(1)).view(count, 1, 1, width)
    batch = torch.arange(count, device=device).view(count, 1, 1, 1)
    planes = torch.arange(channels, device=device).view(1, channels, 1, 1)
    return padded[batch, planes, rows, columns]


def cutout(pictures: Tensor, random: StepRandom, purpose: str) -> Tensor:
    """A square of half the side becomes 0 (grey)."""
    count, _, height, width = pictures.shape
    half = int(height * CUTOUT_SHARE + 0.5) // 2
    centre = random.integers(purpose, height + 1, 2, count, 1)
    rows = torch.arange(height, device=pictures.device) - centre[0]
    columns = torch.arange(width, device=pictures.device) - centre[1]
    hidden = ((rows >= -half) & (rows < half)).unsqueeze(2) & ((columns >= -half) & (columns < half)).unsqueeze(1)
    return pictures * (~hidden).unsqueeze(1)


POLICIES: dict[str, Callable[[Tensor, StepRandom, str], Tensor]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}
