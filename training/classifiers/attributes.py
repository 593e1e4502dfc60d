"""A small classifier of picture attributes (eyeglasses, smiling, ...), trained on real pictures with yes/no labels.

It judges generated pictures: which seeds show an attribute, and whether a change of latent changed it. It learns on
pictures prepared exactly as the generator's training set was, blurred and noised at times, because generated ones are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from training.compute.precision import autocast, resolve_precision
from training.errors import DataError

Pictures = NDArray[np.uint8]
Progress = Callable[[str], None]
HELD_OUT = 10  # every tenth person is kept for measuring


class AttributeNet(nn.Module):
    """[n, c, s, s] in -1..1 to one logit an attribute [n, k]: four strided convolutions and a dense head."""

    def __init__(self, channels: int, size: int, attributes: int, width: int = 32) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 4 * width, 4 * width]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.Dropout(0.2), nn.Flatten())
        self.head = nn.Sequential(nn.Linear(widths[-1] * (size // 16) ** 2, 128), nn.ReLU(), nn.Linear(128, attributes))

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        logits: Tensor = self.head(self.features(images))
        return logits


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


class Classifier:
    """A trained AttributeNet with the names of its outputs and its balanced accuracy on people it never saw."""

    def __init__(self, net: AttributeNet, names: tuple[str, ...], accuracy: dict[str, float]) -> None:
        self.net = net.eval()
        self.names = names
        self.accuracy = accuracy

    def logits(self, images: NDArray[np.float32], batch: int = 256) -> NDArray[np.float32]:
        """Logits [n, k] of pictures float32 [n, c, s, s] in -1..1; above 0 the attribute is there."""
        rows = []
        with torch.inference_mode():
            for start in range(0, len(images), batch):
                rows.append(self.net(torch.from_numpy(images[start : start + batch]).clamp(-1, 1)).numpy())
        return np.concatenate(rows)

    def save(self, path: Path) -> None:
        """Write weights, names and accuracy to one safetensors file."""
        first = self.net.features[0]
        assert isinstance(first, nn.Conv2d)
        head = self.net.head[0]
        assert isinstance(head, nn.Linear)
        size = 16 * round((head.in_features / (4 * first.out_channels)) ** 0.5)
        facts = {"names": list(self.names), "accuracy": self.accuracy, "channels": first.in_channels, "size": size}
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(self.net.state_dict(), path, metadata={"attributes": json.dumps(facts)})


def load_classifier(path: Path) -> Classifier:
    """The inverse of `Classifier.save`. Raises DataError for another file."""
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})["attributes"])
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        net = AttributeNet(facts["channels"], facts["size"], len(facts["names"]))
        net.load_state_dict(weights)
    except (KeyError, ValueError, OSError, RuntimeError, SafetensorError) as error:
        raise DataError(f"'{path.name}' is no attribute classifier: {error}") from error
    return Classifier(net, tuple(facts["names"]), facts["accuracy"])


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
                logits = net(_augmented(pictures[chosen], generator)).float()
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


def _augmented(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrored, shifted by up to 2 pixels, brighter or darker, at times blurred or noised; float32 in -1..1."""
    count = len(pictures)
    images = pictures.float() / 127.5 - 1.0
    mirrored = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
    images = torch.where(mirrored, images.flip(3), images)
    dx, dy = torch.randint(-2, 3, (2,), generator=generator).tolist()
    images = torch.roll(images, (dy, dx), (2, 3))
    images = images * (0.8 + 0.4 * torch.rand(count, 1, 1, 1, generator=generator))
    if torch.rand((), generator=generator) < 0.5:
        images = nn.functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    return images + 0.1 * torch.rand(count, 1, 1, 1, generator=generator) * torch.randn(
        images.shape, generator=generator
    )


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
