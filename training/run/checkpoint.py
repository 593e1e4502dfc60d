"""Checkpoints: one atomic file per kept step, tensors and plain values only, so that opening one runs no code."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from training.errors import CheckpointError

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """Training state after `step` steps; `seconds` of training time so far; `algorithm` as its `state_dict()` gave it."""

    step: int
    seconds: float
    algorithm: dict[str, Any]


def path_of(folder: Path, step: int) -> Path:
    """Where the checkpoint after that step lies."""
    return folder / f"step-{step:08d}.pt"


def steps_in(folder: Path) -> list[int]:
    """Steps that have a checkpoint, ascending."""
    return sorted(int(file.stem.removeprefix("step-")) for file in folder.glob("step-*.pt"))


def save(folder: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Writes atomically (a killed process leaves the previous files whole), then removes all but the `keep` newest."""
    folder.mkdir(parents=True, exist_ok=True)
    target = path_of(folder, checkpoint.step)
    partial = target.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as stream:
        torch.save({"format": FORMAT, **vars(checkpoint)}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(target)
    for step in steps_in(folder)[:-keep]:
        path_of(folder, step).unlink(missing_ok=True)
    for leftover in folder.glob("*.partial"):
        leftover.unlink(missing_ok=True)
    return target


def load(path: Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Reads a checkpoint; CheckpointError when it is damaged or of another format."""
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"'{path.name}' cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"'{path.name}' is not a checkpoint of format {FORMAT}")
    return Checkpoint(content["step"], content["seconds"], content["algorithm"])


def levels(algorithm: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The states of an algorithm's levels, each with an averaged generator, by name; of one without levels its own, as ""."""
    if "average" in algorithm:
        return {"": algorithm}
    return {name: part for name, part in algorithm.items() if isinstance(part, dict) and "average" in part}
