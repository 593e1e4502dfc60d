"""What turns pictures into features and class logits before they are compared; every score carries its identity.

The names IS, FID and KID belong to one network: the Inception of 2015-12-05. Its weights are never downloaded; a person
who has the file passes it. Any other extractor gives scores another prefix, so that figures cannot be confused.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.counting import counted
from training.classifiers.classifier import Classifier
from training.errors import EvaluationError
from training.pretrained.lite2 import as_bytes

CANONICAL_PREFIX = "6726825d"  # start of the sha256 of pt_inception-2015-12-05, as its file name says
BATCH = 64


@dataclass(frozen=True)
class Extracted:
    """Features [N, F] and class logits [N, K] of pictures."""

    features: Tensor
    logits: Tensor


@dataclass(frozen=True)
class Extractor:
    """`names`: what the class score, the Frechet distance and the kernel distance of this extractor are called."""

    identity: str
    names: tuple[str, str, str]
    extract: Callable[[Tensor], Extracted]


CANONICAL_NAMES = ("IS", "FID", "KID")
CLASSIFIER_NAMES = ("cls_score", "cls_frechet", "cls_kid")
OTHER_NAMES = ("custom_score", "custom_frechet", "custom_kid")


def from_classifier(classifier: Classifier, file: Path | None = None) -> Extractor:
    """Our own classifier, named by the beginning of its file's sha256 and its accuracy on real pictures."""
    name = f"{classifier.name} {fingerprint(file)[:12]}" if file else classifier.name
    return Extractor(
        f"{name}, {classifier.accuracy:.2%} right on real test pictures", CLASSIFIER_NAMES, _judge(classifier)
    )


def _judge(classifier: Classifier) -> Callable[[Tensor], Extracted]:
    def extract(pictures: Tensor) -> Extracted:
        return Extracted(classifier.features(pictures), classifier.probabilities(pictures).clamp_min(1e-12).log())

    return extract


def from_inception(file: Path) -> Extractor:
    """The user's Inception file: a state dictionary for torch-fidelity's network, or a TorchScript module.

    A TorchScript module takes uint8 [N, 3, H, W] and returns (features [N, F], logits [N, K]). Canonical names are given
    only when the sha256 is that of the published weights. Raises EvaluationError for anything else.
    """
    if not file.is_file():
        raise EvaluationError(f"no Inception weights at '{file}'")
    digest = fingerprint(file)
    names = CANONICAL_NAMES if digest.startswith(CANONICAL_PREFIX) else OTHER_NAMES
    network = _script(file) or _fidelity(file)
    return Extractor(f"Inception file sha256 {digest[:12]}", names, _batched(network))


def fingerprint(file: Path) -> str:
    """Hex sha256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _script(file: Path) -> Callable[[Tensor], tuple[Tensor, Tensor]] | None:
    try:
        module = torch.jit.load(str(file), map_location="cpu")  # type: ignore[no-untyped-call]
    except RuntimeError:
        return None  # not TorchScript
    network: Callable[[Tensor], tuple[Tensor, Tensor]] = module.eval()
    return network


def _fidelity(file: Path) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    try:
        inception = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    except ImportError:
        raise EvaluationError(
            f"'{file.name}' is no TorchScript module; a state dictionary needs torch-fidelity: pip install torch-fidelity"
        ) from None
    try:
        network: Any = inception.FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(file)
        )
    except (RuntimeError, OSError, KeyError, ValueError) as error:
        raise EvaluationError(f"'{file.name}' does not hold Inception weights: {str(error).splitlines()[0]}") from error
    answer: Callable[[Tensor], tuple[Tensor, Tensor]] = network.eval()
    return answer


def _batched(network: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Callable[[Tensor], Extracted]:
    @torch.no_grad()
    def extract(pictures: Tensor) -> Extracted:
        batches = torch.split(pictures, BATCH)
        seen = counted(batches, f"features of batches of {BATCH} pictures", len(batches))
        parts = [network(as_bytes(part)) for part in seen]
        return Extracted(torch.cat([part[0] for part in parts]).float(), torch.cat([part[1] for part in parts]).float())

    return extract
