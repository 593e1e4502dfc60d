"""Features of EfficientNet-lite2: what measures pictures and no training here uses, the same for every bundle.

Protocol: pictures as bytes, grey ones in three channels, scaled to 112x112 (bilinear), pixels in [-1, 1], the last layer's
features averaged over places [N, 1280]. Distances in them compare with each other only, never with published FIDs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from models.counting import counted
from training.errors import DataError
from training.pretrained.efficientnet import FEATURES, efficientnet_lite, installed

NUMBER = 2
SIDE = 112  # pixels
BATCH = 50


def available() -> bool:
    """Whether the extra `pretrained` is installed."""
    return installed(NUMBER)


def identity() -> str:
    """Network, version of the weights' package, digest of the weights."""
    return efficientnet_lite(NUMBER).identity


@torch.inference_mode()
def features(pictures: Tensor) -> Tensor:
    """Pictures [N, 1 or 3, H, W] in [-1, 1] -> [N, 1280] float32. Raises EvaluationError without the extra."""
    network = efficientnet_lite(NUMBER).network
    batches = torch.split(pictures, BATCH)
    seen = counted(batches, f"features of batches of {BATCH} pictures", len(batches))
    parts = [network.extract_features(_scaled(part)).mean((2, 3)) for part in seen]
    return torch.cat(parts).clone() if parts else torch.empty(0, FEATURES)


def _scaled(pictures: Tensor) -> Tensor:
    """What a server would send, at the network's size; larger pictures are averaged, not skipped through."""
    bytes_ = as_bytes(pictures).float() / 127.5 - 1.0
    larger = max(pictures.shape[-2:]) > SIDE
    scaled = F.interpolate(bytes_, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=larger)
    return scaled.contiguous(memory_format=torch.channels_last)


def as_bytes(pictures: Tensor) -> Tensor:
    """[N, 1 or 3, H, W] in [-1, 1] -> uint8 [N, 3, H, W], rounded as the service rounds."""
    if pictures.shape[1] not in (1, 3):
        raise DataError("pictures have 1 or 3 channels")
    scaled = ((pictures.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return scaled.expand(-1, 3, -1, -1).contiguous()
