"""A classifier on frozen pretrained features: two layers on what EfficientNet-lite2 sees, for pictures too hard for a LeNet.

Nothing that trains generators here has seen these features (projected discriminators use lite0), so they may judge.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.data.dataset import Dataset
from training.pretrained import lite2

HIDDEN = 512
BATCH = 500  # pictures described at once


class TransferClassifier(nn.Module):
    """Pictures [N, 1 or 3, H, W] in [-1, 1] -> class logits [N, K]; `features` gives the hidden layer [N, 512].

    Raises EvaluationError without the extra `pretrained`.
    """

    name = "EfficientNet-lite2 and two layers"

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(lite2.FEATURES, affine=False)
        self.hidden = nn.Sequential(nn.Dropout(0.2), nn.Linear(lite2.FEATURES, HIDDEN), nn.ReLU())
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(HIDDEN, classes)

    def classify(self, described: Tensor) -> Tensor:
        """Pretrained features [N, 1280] -> class logits [N, K]."""
        logits: Tensor = self.head(self.dropout(self.hidden(self.norm(described))))
        return logits

    def features(self, pictures: Tensor) -> Tensor:
        """The hidden layer's answer [N, 512], non-negative."""
        hidden: Tensor = self.hidden(self.norm(lite2.features(pictures)))
        return hidden

    def forward(self, pictures: Tensor) -> Tensor:
        """Class logits [N, K]."""
        logits: Tensor = self.head(self.dropout(self.features(pictures)))
        return logits


def described(data: Dataset) -> tuple[Tensor, Tensor]:
    """Pretrained features [N, 1280] and class indices [N] of a labelled set; both ways round where it may be flipped."""
    assert data.labels is not None
    ways = (False, True) if data.flip else (False,)
    found = [_features(data, indices, way) for way in ways for indices in torch.split(torch.arange(len(data)), BATCH)]
    return torch.cat(found), data.labels.repeat(len(ways))


def _features(data: Dataset, indices: Tensor, flipped: bool) -> Tensor:
    pictures = data.batch(indices).pictures
    return lite2.features(pictures.flip(-1) if flipped else pictures)
