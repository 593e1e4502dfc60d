"""A run's numbers: gathered on the device without waiting for it, averaged, written as one JSON line per report."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.errors import DivergenceError


class Gatherer:
    """Means of 0-d tensors over the steps since the last report; only `take` waits for the device."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, stats: dict[str, Tensor]) -> None:
        """Adds one step's statistics."""
        for name, value in stats.items():
            detached = value.detach().float()
            self._sums[name] = self._sums[name] + detached if name in self._sums else detached.clone()
            self._counts[name] = self._counts.get(name, 0) + 1

    def take(self, step: int) -> dict[str, float]:
        """The means, then starts over; DivergenceError names the statistics that are not finite."""
        names = list(self._sums)
        values = torch.stack([self._sums[name] for name in names]).tolist() if names else []
        means = {name: value / self._counts[name] for name, value in zip(names, values, strict=True)}
        self._sums, self._counts = {}, {}
        bad = [name for name, value in means.items() if not math.isfinite(value)]
        if bad:
            raise DivergenceError(
                f"{', '.join(bad)} no longer finite by step {step}; the last checkpoint is untouched. "
                "Lower optimizer.*.lr, or set run.precision='float32', and resume"
            )
        return means


class StatsFile:
    """stats.jsonl: one JSON object per line, each with step, images and seconds; TensorBoard too where installed."""

    def __init__(self, path: Path, resumed_step: int = 0) -> None:
        self.path = path
        self._drop_after(resumed_step)
        self._board = _tensorboard_writer(path.parent / "tensorboard")

    def write(self, **fact: float | int | str) -> None:
        """Appends one line and flushes it."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(fact) + "\n")
        if self._board is not None:
            for name, value in fact.items():
                if isinstance(value, (int, float)) and name != "step":
                    self._board.add_scalar(name, value, fact["step"])

    def close(self) -> None:
        """Flushes TensorBoard's file."""
        if self._board is not None:
            self._board.close()

    def _drop_after(self, step: int) -> None:
        """Lines beyond the resumed step belong to work that will be done again."""
        if self.path.is_file():
            kept = [line for line in self.path.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
            self.path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def _step_of(line: str) -> float:
    """The step of a line; a line cut short by a kill counts as beyond everything."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def _tensorboard_writer(folder: Path) -> Any:
    if importlib.util.find_spec("tensorboard") is None:
        return None
    return importlib.import_module("torch.utils.tensorboard").SummaryWriter(str(folder))
