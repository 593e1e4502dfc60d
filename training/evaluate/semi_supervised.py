"""Errors of a K+1 classifier on the whole test set: of a run in training, or of a bundle's exported discriminator."""

from __future__ import annotations

import numpy as np
import torch

from models.bundle import Bundle
from models.manifest import Score
from models.runtimes import open_runtime
from training.data.dataset import Dataset
from training.errors import EvaluationError

BATCH = 500


def errors_of_bundle(bundle: Bundle, test: Dataset) -> int:
    """Wrong answers on every picture of the set, through ONNX Runtime; EvaluationError for a bundle without classes."""
    discriminator = bundle.manifest.discriminator
    if (
        discriminator is None
        or discriminator.kind != "classes"
        or discriminator.classes != test.classes
        or test.labels is None
    ):
        raise EvaluationError(f"'{bundle.name}' has no classifier of these classes")
    runtime = open_runtime(bundle, "onnx")
    wrong = 0
    for indices in torch.split(torch.arange(len(test)), BATCH):
        answers = runtime.discriminate(test.batch(indices).pictures.numpy()).logits.argmax(1)
        wrong += int(np.sum(answers != test.labels[indices].numpy()))
    runtime.close()
    return wrong


def error_score(bundle: Bundle, test: Dataset) -> Score:
    """The share of wrong answers as a score, with its protocol."""
    wrong = errors_of_bundle(bundle, test)
    data = bundle.manifest.provenance.recipe.get("data")
    labelled = data.get("labelled") if isinstance(data, dict) else "unknown"
    protocol = (
        f"{wrong} wrong of {len(test)} real test pictures, {labelled} labels in training, exported classifier, ONNX"
    )
    return Score(name="test_error", value=wrong / len(test), protocol=protocol)
