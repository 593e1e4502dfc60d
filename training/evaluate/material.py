"""What is scored: samples drawn as a server draws them, and the real pictures of the data set they were learned from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.bundle import Bundle
from training.data.dataset import Dataset, load_dataset
from training.errors import EvaluationError
from training.export.preview import draw_pictures
from training.recipes.tables import DataTable


@dataclass(frozen=True)
class Plan:
    """How much is measured: samples, real pictures, rows of pixel comparisons, epochs of the learner, seed."""

    samples: int = 5000
    real: int = 5000
    rows: int = 2000
    epochs: float = 2.0
    seed: int = 0


@dataclass(frozen=True)
class Material:
    """Pictures [N, C, H, W] in [-1, 1]: generated (with the labels asked for), real test and real training ones.

    `mirrored`: the generator learned from training pictures turned left to right too.
    """

    bundle: Bundle
    fake: Tensor
    asked: Tensor | None
    test: Dataset
    train: Dataset
    plan: Plan
    mirrored: bool = False

    def real(self, count: int, split: str = "test") -> Tensor:
        """The first `count` real pictures of a random order that only the seed decides."""
        source = self.test if split == "test" else self.train
        order = torch.randperm(len(source), generator=torch.Generator().manual_seed(self.plan.seed))
        return source.batch(order[:count]).pictures


def gather(bundle: Bundle, table: DataTable, plan: Plan) -> Material:
    """Draws the samples and reads both splits. Raises EvaluationError for a bundle that cannot sample."""
    if not bundle.manifest.samples:
        raise EvaluationError(f"'{bundle.name}' sharpens pictures and makes none of its own")
    train, test = both_splits(bundle, table)
    fake, asked = draw(bundle, plan.samples, plan.seed)
    return Material(bundle, fake, asked, test, train, plan, table.flip)


def both_splits(bundle: Bundle, table: DataTable) -> tuple[Dataset, Dataset]:
    """Training and test pictures at the bundle's size and colours; a set without a test split gives the same twice."""
    shape = {
        "size": bundle.manifest.image.height,
        "width": bundle.manifest.image.width,
        "channels": bundle.manifest.image.channels,
    }
    whole = table.model_copy(update={"flip": False, "labelled": 0, "limit": 0, "cutouts": 0, **shape})
    train, _ = load_dataset(whole)
    test, _ = load_dataset(whole.model_copy(update={"split": "test"}))
    return train, test


def draw(bundle: Bundle, count: int, first_seed: int) -> tuple[Tensor, Tensor | None]:
    """Pictures of `count` seeds through ONNX Runtime, labels in turn, and the labels asked for [count] where there are any."""
    labels = bundle.manifest.labels if bundle.manifest.conditional else None
    asked = torch.arange(count) % len(labels) if labels else None
    wishes: list[int | None] = [None] * count if asked is None else [int(label) for label in asked]
    return torch.from_numpy(draw_pictures(bundle, range(first_seed, first_seed + count), wishes, batch=64)), asked
