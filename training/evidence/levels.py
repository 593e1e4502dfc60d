"""Where a LAPGAN bundle loses: at each size, how far samples are from real pictures, and how far a level alone takes them.

A level alone begins with real pictures of the level below (what it was trained on; LAPGAN, section 3). Samples begin with
noise, so they carry the faults of every level.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.bundle import Bundle
from models.mathematics.latents import cut, draw
from models.runtimes import open_runtime
from models.runtimes.base import one_hot
from training.data.dataset import Dataset
from training.evaluate import distances
from training.evaluate.material import both_splits
from training.evidence.facts import Fact
from training.methods.pyramid import Pyramid
from training.pretrained import lite2
from training.recipes.resolve import from_tree
from training.recipes.tables import DataTable

COUNT, BATCH = 2500, 64


@dataclass(frozen=True)
class Half:
    """Real pictures [N, C, s, s] of every size, coarsest first, and their classes [N] where there are any."""

    pictures: list[Tensor]
    classes: list[int | None]


def by_level(bundle: Bundle, table: DataTable, count: int = COUNT) -> list[Fact]:
    """Fréchet distances by size: `floor` (real against other real), `sampled`, and `alone` (None for the coarsest).

    In features of EfficientNet-lite2; `count` pictures a side, fewer where the set has less than twice as many.
    """
    reference, beginning = _halves(bundle, both_splits(bundle, table)[0], count)
    levels = Levels(bundle, beginning.classes)
    sampled: Tensor | None = None
    found = []
    for number, real in enumerate(reference.pictures):
        known = lite2.features(real)
        sampled = levels.picture(number, sampled)
        compared = {"floor": beginning.pictures[number], "sampled": sampled}
        if number:
            compared["alone"] = levels.picture(number, beginning.pictures[number - 1])
        far = {name: round(distances.frechet(known, lite2.features(made)), 1) for name, made in compared.items()}
        found.append({"size": real.shape[-1], "count": len(real), "alone": None, **far})
    return found


class Levels:
    """An exported pyramid, level by level, with the noise of seeds 0 … N-1 and N classes."""

    def __init__(self, bundle: Bundle, classes: list[int | None]) -> None:
        labels, prior = bundle.manifest.labels, bundle.manifest.latent
        self._runtime = open_runtime(bundle)
        self._noise = cut(prior, draw(prior, range(len(classes))))
        self._label = one_hot(classes, len(labels)) if labels else None

    def picture(self, number: int, previous: Tensor | None) -> Tensor:
        """That level's pictures [N, C, S, S] on the `previous` ones [N, C, s, s]; None for the coarsest."""
        noise, made = self._noise[number], []
        for start in range(0, len(noise), BATCH):
            rows = slice(start, start + BATCH)
            low = None if previous is None else previous[rows].numpy()
            label = None if self._label is None else self._label[rows]
            made.append(torch.from_numpy(self._runtime.run_level(number, low, noise[rows], label)))
        return torch.cat(made)


def _halves(bundle: Bundle, data: Dataset, count: int) -> tuple[Half, Half]:
    """Two disjoint sets of training pictures, drawn by seed 0."""
    table = from_tree(bundle.manifest.provenance.recipe).pyramid
    pyramid = Pyramid(table.sizes, bundle.manifest.image.channels, table.operator)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    size = min(count, len(data) // 2)

    def half(rows: Tensor) -> Half:
        classes = [None] * size if data.labels is None else data.labels[rows].tolist()
        return Half(pyramid.pictures(data.batch(rows).pictures), classes)

    return half(order[:size]), half(order[size : 2 * size])
