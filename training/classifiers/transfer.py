"""A classifier that begins with pretrained features: EfficientNet-lite2, trained on, for pictures too hard for a LeNet.

Nothing that trains generators here has seen this network (projected discriminators use lite0), so it may judge.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.pretrained import lite2
from training.pretrained.efficientnet import FEATURES, efficientnet_lite

SIDE = 96  # pixels, of the network's own 260: the pictures that need this are small
LR, HEAD_LR = 3e-4, 1.5e-3
WARM_UP = 0.15  # share of the steps: Adam's first moves would undo what was learned before


class TransferClassifier(nn.Module):
    """Pictures [N, 1 or 3, H, W] in [-1, 1] -> class logits [N, K]; `features` gives the last layer's means [N, 1280].

    Raises EvaluationError without the extra `pretrained`.
    """

    name = "fine-tuned EfficientNet-lite2"

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.network = copy.deepcopy(efficientnet_lite(lite2.NUMBER).network).requires_grad_(True)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(FEATURES, classes)

    def features(self, pictures: Tensor) -> Tensor:
        """The last layer's features, averaged over places [N, 1280]."""
        colour = pictures.expand(-1, 3, -1, -1)
        scaled = F.interpolate(colour, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        found: Tensor = self.network.extract_features(scaled.contiguous(memory_format=torch.channels_last))
        return found.mean((2, 3))

    def forward(self, pictures: Tensor) -> Tensor:
        """Class logits [N, K]."""
        logits: Tensor = self.head(self.dropout(self.features(pictures)))
        return logits

    def optimizer(self, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """AdamW, slower for what is learned already, rising and falling once over the steps."""
        groups = [{"params": self.network.parameters(), "lr": LR}, {"params": self.head.parameters(), "lr": HEAD_LR}]
        optimizer = torch.optim.AdamW(groups, weight_decay=1e-2)
        return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, [LR, HEAD_LR], steps + 1, pct_start=WARM_UP)
