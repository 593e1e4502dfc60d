"""A LeNet-like classifier for small pictures: two convolutions, two linear layers; its features serve as an extractor."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FEATURES = 128


class LeNet(nn.Module):
    """Pictures [N, C, size, size] in [-1, 1] -> class logits [N, K]; `features` gives the last hidden layer [N, 128]."""

    name = "LeNet"

    def __init__(self, size: int, channels: int, classes: int, width: int = 16) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, width, 5, padding=2), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 5, padding=2), nn.BatchNorm2d(2 * width), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.hidden = nn.Sequential(nn.Linear(2 * width * (size // 4) ** 2, FEATURES), nn.ReLU())
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(FEATURES, classes)

    def features(self, pictures: Tensor) -> Tensor:
        """The last hidden layer's answer [N, 128], non-negative."""
        hidden: Tensor = self.hidden(torch.flatten(self.convolutions(pictures), 1))
        return hidden

    def forward(self, pictures: Tensor) -> Tensor:
        """Class logits [N, K]."""
        logits: Tensor = self.head(self.dropout(self.features(pictures)))
        return logits

    def optimizer(self, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """Adam 1e-3, falling to zero over the steps."""
        optimizer = torch.optim.Adam(self.parameters(), lr=1e-3)
        return optimizer, torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, steps)
