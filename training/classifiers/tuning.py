"""Directions turned by gradients: what a linear model finds is where the search begins, not where it ends.

A linear model of a rare or entangled attribute points at what comes with it (light, age, background). Here the generator and the
classifier are one differentiable function, and a direction is turned until moving along it changes its attribute and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.manifest import Latent
from models.mathematics.directions import Direction
from models.runtimes.projection import Graph
from training.classifiers.directions import Lens, Mask, Report, Study

LENGTHS = (2.0, 4.0, 6.0)  # units that are tried; the best of them counts
BATCH = 24
RATE = 0.03
SHARPNESS = 2.0  # of the soft minimum over lengths
RARE_SHARE = 0.25  # of a batch that shows the attribute, however rare it is
ORIGIN = "learned, tuned by gradients"
TUNED_UNIT = (
    "a step as long as the linear model's, which is one standard deviation of the classifier's score over seeds"
)

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Tuner:
    """Turns one direction; `column` is its attribute's. The logits of the study say which side a seed is on."""

    lens: Lens
    found: Study
    graph: Graph

    def tune(self, direction: Direction, column: int, steps: int, report: Report) -> Direction:
        """The direction after `steps` of Adam, as long as before. It stays as it is where all seeds are on one side."""
        sides = self.found.logits[:, column] > 0
        if not steps or sides.all() or not sides.any():
            return direction
        vector = torch.tensor(direction.vector, requires_grad=True)
        length = float(vector.detach().norm())
        optimiser = torch.optim.Adam([vector], lr=RATE)
        schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.02, steps)
        random = np.random.default_rng(column)
        for step in range(steps):
            loss = self.cost(vector / vector.norm() * length, column, _rows(sides, random))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            if (step + 1) % 100 == 0:
                report(f"{direction.name}: tuned {step + 1} of {steps} steps")
        tuned = (vector / vector.norm() * length).detach().numpy()
        turned = float(tuned @ direction.vector) / max(length * length, 1e-12)
        return replace(
            direction,
            vector=tuned,
            origin=ORIGIN,
            unit=TUNED_UNIT,
            measured={**direction.measured, "cosine_to_linear": round(turned, 4)},
        )

    def cost(self, vector: Tensor, column: int, rows: Rows) -> Tensor:
        """Softplus costs of the attribute's flip and of the others' staying, at the length that serves each seed best."""
        latents, before = torch.from_numpy(self.found.latents[rows]), torch.from_numpy(self.found.logits[rows])
        wanted = torch.sign(before)
        wanted[:, column] *= -1
        toward = wanted[:, column, None]
        costs = []
        for length in LENGTHS:
            moved = back_on_prior(self.lens.bundle.manifest.latent, latents + length * toward * vector)
            costs.append(F.softplus(-wanted * self.lens.classifier.net(self.graph(moved))).sum(1))
        return -torch.logsumexp(-SHARPNESS * torch.stack(costs), 0).mean() / SHARPNESS


def tune(lens: Lens, found: Study, directions: Sequence[Direction], steps: int, report: Report) -> list[Direction]:
    """Every direction turned in turn; `directions` in the order of the study's columns."""
    lens.classifier.net.requires_grad_(False)
    tuner = Tuner(lens, found, Graph(lens.bundle, None, threads=torch.get_num_threads()))
    return [tuner.tune(direction, column, steps, report) for column, direction in enumerate(directions)]


def _rows(sides: Mask, random: np.random.Generator) -> Rows:
    """Seeds of one batch, with and without the attribute."""
    rare = round(RARE_SHARE * BATCH)
    return np.concatenate(
        [random.choice(np.flatnonzero(sides), rare), random.choice(np.flatnonzero(~sides), BATCH - rare)]
    )


def back_on_prior(prior: Latent, latents: Tensor) -> Tensor:
    """`models.mathematics.latents.normalise` of rows [n, size], with gradients: onto each cut's shell, or into the box."""
    if prior.distribution == "uniform":
        return latents.clamp(-1.0, 1.0)
    pieces = torch.split(latents, [part.size for part in prior.cuts], 1)
    return torch.cat([piece * (piece.shape[1] ** 0.5 / piece.norm(dim=1, keepdim=True)) for piece in pieces], 1)
