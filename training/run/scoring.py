"""Scores while a run trains: what a scorer is, the samples it looks at, and the checkpoint with the best score."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from training.algorithms.base import Algorithm
from training.run import checkpoint, samples

BATCH = 50


class Scorer(Protocol):
    """Looks at what the averaged generator draws; `decides` names the score by which a checkpoint is the best."""

    @property
    def decides(self) -> str:
        """A name among the scores; lower is better."""

    def score(self, algorithm: Algorithm) -> Mapping[str, float]:
        """Scores by name; must change nothing that training reads."""


@dataclass(frozen=True)
class Best:
    """The checkpoint with the lowest score so far."""

    step: int
    name: str
    score: float


def draw(algorithm: Algorithm, seeds: range) -> Tensor:
    """Pictures [N, C, H, W] of seeds, labels in turn where there are any, in small batches, on the CPU."""
    classes = len(algorithm.data.classes)
    pictures = []
    for start in range(seeds.start, seeds.stop, BATCH):
        part = range(start, min(start + BATCH, seeds.stop))
        latents = samples.seed_latents(part, algorithm.latent_size, algorithm.recipe.latent.distribution)
        wished = torch.tensor([(seed - seeds.start) % classes for seed in part]) if classes else None
        labels = None if wished is None else torch.nn.functional.one_hot(wished, classes).float().to(algorithm.device)
        pictures.append(algorithm.sample(latents.to(algorithm.device), labels).cpu())
    return torch.cat(pictures)


def read_best(folder: Path) -> Best | None:
    """What `keep_if_better` wrote there last; None where it never did, or its checkpoint is gone."""
    try:
        best = Best(**json.loads((folder / "best.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return best if checkpoint.path_of(folder, best.step).is_file() else None


def keep_if_better(folder: Path, source: Path, found: Best) -> bool:
    """Puts the checkpoint `source` into `folder` in place of the one there, when its score is lower; whether it did.

    Killed at any point, the folder still holds a checkpoint that `read_best` names.
    """
    known = read_best(folder)
    if known is not None and known.score <= found.score:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    target = checkpoint.path_of(folder, found.step)
    _same_file(source, target)
    partial = folder / "best.json.partial"
    partial.write_text(json.dumps(asdict(found)), encoding="utf-8")
    partial.replace(folder / "best.json")
    for step in checkpoint.steps_in(folder):
        if step != found.step:
            checkpoint.path_of(folder, step).unlink(missing_ok=True)
    return True


def _same_file(source: Path, target: Path) -> None:
    """A second name for the file, or a copy where the file system has none."""
    partial = target.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copyfile(source, partial)
    partial.replace(target)
