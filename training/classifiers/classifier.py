"""A classifier trained here on the real set: judges whether samples look like the label they were asked for.

Offline stand-in for Inception: scores made with it carry its own name, never "IS" or "FID".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from models.bundle import Bundle
from models.counting import counted
from models.manifest import Score
from training.classifiers.transfer import TransferClassifier
from training.compute.randomness import StepRandom
from training.data.batch import DataSpec
from training.data.dataset import Dataset, Sampler
from training.errors import DataError
from training.export.preview import draw_pictures
from training.networks.lenet import LeNet

BATCH = 128
EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Classifier:
    """A trained network, its classes, and its share of right answers on pictures it never saw (0 … 1)."""

    network: LeNet | TransferClassifier
    classes: tuple[str, ...]
    size: int
    channels: int
    accuracy: float

    @property
    def name(self) -> str:
        """What kind of network it is."""
        return self.network.name

    @torch.no_grad()
    def predict(self, pictures: Tensor) -> Tensor:
        """The likeliest class index of each picture [N, C, size, size] in [-1, 1]."""
        return torch.cat([self.network(part).argmax(1) for part in _batches(pictures)])

    @torch.no_grad()
    def features(self, pictures: Tensor) -> Tensor:
        """Features of pictures, the last hidden layer: [N, 128] of a LeNet, [N, 1280] of a pretrained network."""
        return torch.cat([self.network.features(part) for part in _batches(pictures)])

    @torch.no_grad()
    def probabilities(self, pictures: Tensor) -> Tensor:
        """Class probabilities [N, K]."""
        return torch.cat([self.network(part).softmax(1) for part in _batches(pictures)])

    def save(self, path: Path) -> None:
        """Weights and facts in one safetensors file."""
        facts = {
            "network": self.name, "classes": self.classes, "size": self.size, "channels": self.channels,
            "accuracy": self.accuracy,
        }  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        weights = {name: tensor.contiguous() for name, tensor in self.network.state_dict().items()}
        save_file(weights, path, metadata={"classifier": json.dumps(facts)})
        path.chmod(0o644)


def load_classifier(path: Path) -> Classifier:
    """A saved classifier; DataError when the file is none."""
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})["classifier"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise DataError(f"'{path.name}' is not a classifier made by this program") from error
    spec = DataSpec(facts["size"], facts["channels"], tuple(facts["classes"]))
    network = _network(facts.get("network") == TransferClassifier.name, spec)
    network.load_state_dict(weights)
    return Classifier(
        network.eval(), tuple(facts["classes"]), facts["size"], facts["channels"], float(facts["accuracy"])
    )


def train_classifier(
    train: Dataset, test: Dataset, epochs: float = 3.0, seed: int = 0, transfer: bool = False
) -> Classifier:
    """Trains on one split and measures on the other, in batches of 128.

    `transfer`: begins with pretrained features in place of a LeNet. Raises DataError for sets without common labels.
    """
    if train.labels is None or train.classes != test.classes:
        raise DataError("a classifier needs labels, the same in both splits")
    StepRandom(seed, 0).seed_global()
    network = _network(transfer, train.spec)
    _fit(network, train, max(1, int(epochs * len(train) / BATCH)), seed)
    size, channels = train.spec.size, train.spec.channels
    return Classifier(network, train.classes, size, channels, _accuracy(network.eval(), test))


def label_agreement(bundle: Bundle, classifier: Classifier, count: int = 5000, first_seed: int = 0) -> Score:
    """Share of `count` samples, labels in turn and seeds in order, whose predicted class is the label asked for."""
    labels = [k % len(classifier.classes) for k in range(count)]
    if bundle.manifest.labels != classifier.classes:
        raise DataError(f"'{bundle.name}' and the classifier do not name the same classes")
    pictures = torch.from_numpy(draw_pictures(bundle, range(first_seed, first_seed + count), labels))
    agreed = classifier.predict(pictures) == torch.tensor(labels)
    protocol = (
        f"{classifier.name} trained on the real training set ({classifier.accuracy:.2%} right on the real test set) names the "
        f"asked label; {count} samples, seeds {first_seed}-{first_seed + count - 1}, labels in turn, ONNX Runtime"
    )
    return Score(name="label_agreement", value=float(agreed.float().mean()), protocol=protocol)


def _network(transfer: bool, spec: DataSpec) -> LeNet | TransferClassifier:
    return TransferClassifier(len(spec.classes)) if transfer else LeNet(spec.size, spec.channels, len(spec.classes))


def _fit(network: LeNet | TransferClassifier, train: Dataset, steps: int, seed: int) -> None:
    optimizer, schedule = network.optimizer(steps)
    sampler = Sampler(len(train), BATCH, seed)
    for step in counted(range(steps), "steps of the classifier", steps):
        random = StepRandom(seed, step)
        random.seed_global()
        batch = train.batch(sampler.indices(step), random)
        assert batch.labels is not None
        loss = torch.nn.functional.cross_entropy(network(batch.pictures), batch.labels.argmax(1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


def _batches(pictures: Tensor) -> Iterator[Tensor]:
    batches = torch.split(pictures, EVALUATION_BATCH)
    return counted(batches, f"classified batches of {EVALUATION_BATCH} pictures", len(batches))


@torch.no_grad()
def _accuracy(network: nn.Module, test: Dataset) -> float:
    assert test.labels is not None
    right = 0
    for indices in torch.split(torch.arange(len(test)), EVALUATION_BATCH):
        batch = test.batch(indices)
        right += int((network(batch.pictures).argmax(1) == test.labels[indices]).sum())
    return right / len(test)
