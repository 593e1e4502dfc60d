"""The data set in memory: uint8 pictures and labels, and batches as a pure function of (seed, step)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.compute.randomness import StepRandom, stream_seed
from training.data.batch import Batch, DataSpec
from training.data.check import Report
from training.data.cutouts import cutouts
from training.data.pictures import Loaded, load
from training.data.sources import Picture, find_pictures, split_off
from training.errors import DataError
from training.recipes.tables import DataTable


class Dataset:
    """All pictures [M, C, height, width] uint8 and, where labelled, class indices [M], on the training device.

    `kept` [L]: the pictures whose label a semi-supervised recipe keeps; the other labels are never handed out.
    """

    def __init__(
        self,
        pictures: Tensor,
        labels: Tensor | None,
        classes: tuple[str, ...],
        flip: bool = False,
        kept: Tensor | None = None,
    ) -> None:
        self.pictures, self.labels, self.classes, self.flip = pictures, labels, classes, flip
        self.kept = kept

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def spec(self) -> DataSpec:
        """Size, channels and classes."""
        _, channels, height, width = self.pictures.shape
        return DataSpec(height, channels, self.classes, 0 if height == width else width)

    def to(self, device: torch.device) -> Dataset:
        """The same on another device."""
        labels = None if self.labels is None else self.labels.to(device)
        kept = None if self.kept is None else self.kept.to(device)
        return Dataset(self.pictures.to(device), labels, self.classes, self.flip, kept)

    @cached_property
    def labelled(self) -> Batch | None:
        """The pictures whose label was kept, with their labels; None where all labels are known or none."""
        if self.kept is None or self.labels is None:
            return None
        return Batch(self.pictures[self.kept].float() / 127.5 - 1.0, self.one_hot(self.labels[self.kept]))

    def batch(self, indices: Tensor, random: StepRandom | None = None) -> Batch:
        """The pictures at those indices as [-1, 1] floats, half of them mirrored when the recipe says so."""
        indices = indices.to(self.pictures.device)
        pictures = self.pictures[indices].float() / 127.5 - 1.0
        if self.flip and random is not None:
            mirrored = random.uniform("flip", len(indices), 1, 1, 1) < 0.5
            pictures = torch.where(mirrored, pictures.flip(3), pictures)
        hidden = self.labels is None or self.kept is not None
        labels = None if hidden or self.labels is None else self.one_hot(self.labels[indices])
        return Batch(pictures, labels, self.labelled)

    def one_hot(self, labels: Tensor) -> Tensor:
        """Class indices [N] -> float one-hot [N, K]."""
        return torch.nn.functional.one_hot(labels, len(self.classes)).float()


class Sampler:
    """Which pictures a step sees: epochs are shuffled by (seed, epoch) and laid end to end; no state is kept."""

    def __init__(self, count: int, per_step: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.count, self.per_step, self.seed = count, per_step, seed
        self.rank, self.world_size = rank, world_size

    def indices(self, step: int) -> Tensor:
        """This process's `per_step` picture indices of that step."""
        start = (step * self.world_size + self.rank) * self.per_step
        places = np.arange(start, start + self.per_step)
        epochs, offsets = np.divmod(places, self.count)
        chosen = np.empty(self.per_step, np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            chosen[here] = _shuffled(self.count, stream_seed(self.seed, "epoch", int(epoch)))[offsets[here]]
        return torch.from_numpy(chosen)


@lru_cache(maxsize=4)
def _shuffled(count: int, seed: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox(seed)).permutation(count)


def load_dataset(table: DataTable) -> tuple[Dataset, Report]:
    """Reads the whole set; DataError names every refused file at once unless the recipe says to skip them."""
    if not table.path:
        raise DataError("the recipe names no data set; give data.path=FOLDER_OR_ZIP")
    pictures = cutouts(table) if table.cutouts else _whole_pictures(table)
    loaded, report = read_all(pictures, table)
    if report.refused and table.unreadable == "refuse":
        raise DataError(f"{report.text()}\nRemove these files, or set data.unreadable='skip'.")
    kept = [(picture, item.pixels) for picture, item in zip(pictures, loaded, strict=True) if item.pixels is not None]
    if not kept:
        raise DataError("no picture could be read")
    tensor = torch.from_numpy(np.stack([pixels for _, pixels in kept]))
    labels, classes = _label([picture for picture, _ in kept], table.labels)
    labelled = None if labels is None else balanced_subset(labels, classes, table.labelled, table.label_seed)
    return Dataset(tensor, labels, classes, table.flip, labelled), report


def balanced_subset(labels: Tensor, classes: Sequence[str], count: int, seed: int) -> Tensor | None:
    """Indices of `count` pictures, equally many of each class, drawn by the seed; None for count 0."""
    if not count:
        return None
    each, rest = divmod(count, len(classes))
    if rest or each > int(torch.bincount(labels, minlength=len(classes)).min()):
        raise DataError(f"data.labelled={count} cannot be shared equally by {len(classes)} classes")
    random = np.random.Generator(np.random.Philox(stream_seed(seed, "labelled")))
    per_class = [random.permutation(np.flatnonzero(labels.numpy() == index))[:each] for index in range(len(classes))]
    return torch.from_numpy(np.concatenate(per_class))


def _whole_pictures(table: DataTable) -> list[Picture]:
    learnt, _ = split_off(find_pictures(Path(table.path), table.split), table.holdout)
    return learnt[: table.limit] if table.limit else learnt


def read_all(pictures: Sequence[Picture], table: DataTable) -> tuple[list[Loaded], Report]:
    """Opens every picture on all cores; the report holds what was converted or refused."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        loaded = list(pool.map(partial(load, table=table), pictures, chunksize=64))
    findings = tuple(finding for item in loaded for finding in item.findings)
    classes = Counter(picture.attributes["class"] for picture in pictures if "class" in picture.attributes)
    return loaded, Report(len(pictures), findings, classes)


def _label(pictures: Sequence[Picture], column: str) -> tuple[Tensor | None, tuple[str, ...]]:
    if column == "none":
        return None, ()
    missing = [picture.name for picture in pictures if column not in picture.attributes]
    if missing:
        known = sorted(set().union(*(picture.attributes for picture in pictures)))
        raise DataError(
            f"data.labels = '{column}', but {len(missing)} pictures have no such attribute "
            f"(first: {missing[0]}); attributes found: {', '.join(known) or 'none'}"
        )
    classes = _class_names(pictures, column)
    index = {name: place for place, name in enumerate(classes)}
    return torch.tensor([index[picture.attributes[column]] for picture in pictures]), classes


def _class_names(pictures: Sequence[Picture], column: str) -> tuple[str, ...]:
    """Sorted names, or the set's own order where the pictures carry a numeric `label` too (idx, sheets)."""
    order = {picture.attributes[column]: picture.attributes.get("label", "") for picture in pictures}
    if column == "class" and all(number.isdigit() for number in order.values()):
        return tuple(sorted(order, key=lambda name: int(order[name])))
    return tuple(sorted(order))
