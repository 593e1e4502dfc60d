"""An attribute classifier is trained on real pictures with yes/no labels.

It judges generated pictures: which seeds show an attribute, and whether a change of latent changed it. It learns on
pictures prepared exactly as the generator's training set was, blurred and noised at times, because generated ones are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.compute.precision import autocast, resolve_precision
from training.errors import DataError
from training.networks.attribute_classifier import AttributeNet, Classifier, augmented

Pictures = NDArray[np.uint8]
Progress = Callable[[str], None]
HELD_OUT = 10  # every tenth person is kept for measuring


@dataclass(frozen=True)
class Labelled:
    """Real pictures [n, c, s, s], their labels [n, k] of 0 and 1, and who is on each, so that nobody is on both sides."""

    pictures: Pictures
    labels: NDArray[np.float32]
    persons: NDArray[np.int64]
    names: tuple[str, ...]

    def split(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Masks of the pictures to learn from and to measure on."""
        held = self.persons % HELD_OUT == 0
        return ~held, held


def train_classifier(
    data: Labelled, *, epochs: int = 12, batch: int = 128, seed: int = 0, report: Progress = print
) -> Classifier:
    """Learn all attributes at once by balanced cross-entropy: rare attributes weigh as much as common ones.

    Adam with a one-cycle rate. The accuracy is balanced, (true positive rate + true negative rate) / 2, on held-out people.
    """
    torch.manual_seed(seed)
    learn, held = data.split()
    net = AttributeNet(data.pictures.shape[1], data.pictures.shape[2], len(data.names))
    pictures, labels = torch.from_numpy(data.pictures[learn]), torch.from_numpy(data.labels[learn])
    batch = min(batch, len(pictures))
    steps = epochs * (len(pictures) // batch)
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    share = labels.mean(0).clamp(0.01, 0.99)
    precision = resolve_precision("auto", torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        net.train()
        total = 0.0
        order = torch.randperm(len(pictures), generator=generator)
        for chosen in order[: len(order) // batch * batch].view(-1, batch):
            with autocast(precision, torch.device("cpu")):
                logits = net(augmented(pictures[chosen].float() / 127.5 - 1.0, generator)).float()
            loss = _balanced(logits, labels[chosen], share)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += loss.item()
        report(f"epoch {epoch + 1}/{epochs}: loss {total / (len(order) // batch):.4f}")
    found = Classifier(net, data.names, {})
    found.accuracy = _accuracy(found, data.pictures[held], data.labels[held])
    return found


def _balanced(logits: Tensor, labels: Tensor, share: Tensor) -> Tensor:
    weights = labels / (2 * share) + (1 - labels) / (2 * (1 - share))
    return nn.functional.binary_cross_entropy_with_logits(logits, labels, weights)


def _accuracy(classifier: Classifier, pictures: Pictures, labels: NDArray[np.float32]) -> dict[str, float]:
    said = classifier.logits(pictures.astype(np.float32) / 127.5 - 1.0) > 0
    rates: dict[str, float] = {}
    for column, name in enumerate(classifier.names):
        truth = labels[:, column] > 0.5
        hit, miss = said[truth, column].mean(), (~said[~truth, column]).mean()
        rates[name] = round(float(hit + miss) / 2, 4)
    return rates


def by_name(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Columns of the wanted names. Raises DataError naming what there is."""
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(f"no attribute {', '.join(missing)}; there are {', '.join(names)}")
    return [list(names).index(name) for name in wanted]
