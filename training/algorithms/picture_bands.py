"""The picture itself, band by band: where in it things are, and how far they move from one picture to the next.

Features that are averaged over places do not say where something was seen. A generator held to them alone paints the eyes of
every face at the same pixels, and beside the mean of its pictures that of real ones is a blur. The bands are those of a
Laplacian pyramid (Burt and Adelson 1983): a picture of at most 8x8 pixels, and what each finer one adds.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from training.algorithms.feature_space import Compared, FeatureSpace
from training.data.batch import DataSpec
from training.recipes.tables import MatchingTable

COARSEST = 8  # pixels
TILE = 16  # pixels: finer bands are compared in tiles, whose pixels' covariance has a few hundred rows
KEY = "matching.bands"


class PictureBands(Compared):
    """A space for each coarse band, in colour, and for each tile of the finer ones, in grey."""

    def __init__(self, data: DataSpec, table: MatchingTable, labels: int, device: torch.device) -> None:
        self.table, self.labels = table, labels
        bands = _bands(torch.zeros(1, data.channels, *data.sides))
        self.counts = [len(tiles) for tiles in bands]
        sizes = [tile.shape[1] for tiles in bands for tile in tiles]
        self.spaces = [FeatureSpace(size, labels, table, table.population, device) for size in sizes]

    def seen(self, pictures: Tensor) -> list[Tensor]:
        """Tile by tile [N, pixels], coarse bands first."""
        return [tile for band in _bands(pictures) for tile in band]

    def find_ways(self, step: int) -> None:
        """All of them every `matching.every` steps."""
        if step % self.table.every == 0 or self.spaces[0].way is None:
            for space in self.spaces:
                space.find_way()

    def loss(self, pictures: Tensor, labels: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum over bands, each in units of its own variance, by the recipe's weight."""
        found = self.look(pictures, labels)
        ways = [space.distance(tile) for space, tile in zip(self.spaces, found, strict=True)]
        variances = [space.variance() for space in self.spaces]
        costs = [
            torch.stack(way).sum() / torch.stack(variance).sum()
            for way, variance in zip(self._by_band(ways), self._by_band(variances), strict=True)
        ]
        return self.table.bands * torch.stack(costs).sum(), {f"band{k}_loss": cost for k, cost in enumerate(costs)}

    def state(self) -> dict[str, Any]:
        """What continues its spaces."""
        return {KEY: [space.state() for space in self.spaces]}

    def load(self, state: dict[str, Any]) -> None:
        """Continues from its own key of `state`."""
        for space, known in zip(self.spaces, state[KEY], strict=True):
            space.load(known)

    def _by_band(self, figures: list[Tensor]) -> list[list[Tensor]]:
        rest = iter(figures)
        return [[next(rest) for _ in range(count)] for count in self.counts]


def _bands(pictures: Tensor) -> list[list[Tensor]]:
    """[N, C, H, W] -> for each band, coarsest first, its tiles [N, pixels]."""
    pyramid = [pictures]
    while min(pyramid[0].shape[2:]) > COARSEST and not any(side % 2 for side in pyramid[0].shape[2:]):
        pyramid.insert(0, F.avg_pool2d(pyramid[0], 2))
    added = [high - low.repeat_interleave(2, 2).repeat_interleave(2, 3) for low, high in pairwise(pyramid)]
    return [_tiles(band) for band in (pyramid[0], *added)]


def _tiles(band: Tensor) -> list[Tensor]:
    """[N, C, H, W] -> [N, pixels] each: whole and in colour, or what does not fit into one tile in grey, tile by tile."""
    down, across = (-(-side // TILE) for side in band.shape[2:])
    grey = band if down == across == 1 else band.mean(1, keepdim=True)
    return [tile.flatten(1) for row in grey.tensor_split(down, 2) for tile in row.tensor_split(across, 3)]
