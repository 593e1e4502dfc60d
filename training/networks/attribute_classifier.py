"""A small classifier of picture attributes (eyeglasses, smiling, ...): the network, what it is told while it learns, its file."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from training.errors import DataError


class AttributeNet(nn.Module):
    """[n, c, s, s] in -1..1 to one logit an attribute [n, k]: four strided convolutions and a dense head."""

    def __init__(self, channels: int, size: int, attributes: int, width: int = 32) -> None:
        super().__init__()
        self.channels, self.size = channels, size
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
        facts = {
            "names": list(self.names), "accuracy": self.accuracy, "channels": self.net.channels, "size": self.net.size,
        }  # fmt: skip
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


def augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures in -1..1 mirrored, shifted by up to 2 pixels, brighter or darker, at times blurred or noised."""
    count = len(images)
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
