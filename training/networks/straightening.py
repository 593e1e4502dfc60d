"""A latent space turned until attributes lie straight in it: w [N, Z] -> z [N, Z], one to one, lengths kept.

Coupling layers (Dinh et al. 2017) that turn instead of scaling: one half of the numbers says how the other half is turned. A
turn that depends on independent numbers leaves a standard normal standard normal, so a generator behind such layers paints the
same pictures as before, each at another latent.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

PREFIX = "straightening."
"""What begins the names of the turns' weights beside those of the generator behind them."""


class Turn(nn.Module):
    """(kept [N, A], turned [N, B]) -> turned [N, B]: pairs of Householder reflections whose axes depend on `kept`.

    Both axes of a pair begin (nearly) alike, and two reflections in one axis change nothing.
    """

    def __init__(self, kept: int, turned: int, hidden: int, pairs: int) -> None:
        super().__init__()
        self.size, self.pairs = turned, pairs
        self.hidden, self.axes = nn.Linear(kept, hidden), nn.Linear(hidden, 2 * pairs * turned)
        nn.init.normal_(self.axes.weight, 0.0, 1e-3)
        begin = torch.randn(pairs, turned).repeat_interleave(2, 0)
        self.axes.bias = nn.Parameter(begin.flatten())

    def forward(self, kept: Tensor, turned: Tensor) -> Tensor:
        """See the class."""
        return self._reflected(kept, turned, range(2 * self.pairs))

    def back(self, kept: Tensor, turned: Tensor) -> Tensor:
        """The inverse: the same reflections in the other order."""
        return self._reflected(kept, turned, reversed(range(2 * self.pairs)))

    def _reflected(self, kept: Tensor, turned: Tensor, order: Iterable[int]) -> Tensor:
        axes = self.axes(nn.functional.silu(self.hidden(kept))).reshape(-1, 2 * self.pairs, self.size)
        axes = axes * (axes.square().sum(2, keepdim=True) / 2.0).rsqrt()  # of length sqrt(2): x - (axis . x) axis
        flat = axes.reshape(-1, 2 * self.pairs * self.size)
        for k in order:
            axis = flat[:, k * self.size : (k + 1) * self.size]
            turned = turned - (axis * turned).sum(1, keepdim=True) * axis
        return turned


class Straightening(nn.Module):
    """w [N, Z] -> z [N, Z] by `layers` turns, the numbers shuffled before each (and put back in their order at the end)."""

    def __init__(self, size: int, layers: int = 8, hidden: int = 64, pairs: int = 3) -> None:
        super().__init__()
        self.shuffles: Tensor
        self.kept = size // 2
        self.turns = nn.ModuleList(Turn(self.kept, size - self.kept, hidden, pairs) for _ in range(layers))
        shuffles = [torch.randperm(size) for _ in range(layers)]
        together = torch.arange(size)
        for shuffle in shuffles:
            together = together[shuffle]
        self.register_buffer("shuffles", torch.stack([*shuffles, together.argsort()]))

    def forward(self, latent: Tensor) -> Tensor:
        """The latent that the generator takes."""
        for k, turn in enumerate(self.turns):
            kept, turned = self._halves(latent.index_select(1, self.shuffles[k]))
            latent = torch.cat([kept, turn(kept, turned)], 1)
        return latent.index_select(1, self.shuffles[-1])

    def inverse(self, latent: Tensor) -> Tensor:
        """The straight latent of one that the generator takes."""
        latent = latent[:, self.shuffles[-1].argsort()]
        for k, turn in reversed(list(enumerate(self.turns))):
            assert isinstance(turn, Turn)
            kept, turned = self._halves(latent)
            latent = torch.cat([kept, turn.back(kept, turned)], 1)[:, self.shuffles[k].argsort()]
        return latent

    def _halves(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        return latent[:, : self.kept], latent[:, self.kept :]
