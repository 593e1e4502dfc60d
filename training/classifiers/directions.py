"""Directions that ship with a bundle: sample, let a classifier score the pictures, regress, measure what flips."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle, publish, staging_folder, write_manifest
from models.mathematics.directions import FILE, Direction, by_regression, directions_to_bytes, orthogonal
from models.mathematics.latents import Vector, draw, normalise
from models.runtimes import open_runtime
from models.runtimes.chain import pictures_of
from training.networks.attribute_classifier import Classifier

FLIP_SEEDS = 500
FIRST_FLIP_SEED = 3_000_000_000  # far from the seeds directions are learned on
STEPS = tuple(0.75 * k for k in range(1, 9))
UNIT = "one standard deviation of the classifier's score over seeds, in a linear model"

Report = Callable[[str], None]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Study:
    """What a classifier says of many seeds: latents [n, size] and logits [n, k]."""

    latents: Vector
    logits: NDArray[np.float32]
    names: tuple[str, ...]


class Lens:
    """A generator seen through a classifier: latents in, logits out."""

    def __init__(self, bundle: Bundle, classifier: Classifier, threads: int = 1) -> None:
        self.bundle, self.classifier = bundle, classifier
        self._runtime = open_runtime(bundle, "onnx", threads=threads)

    def pictures(self, latents: Vector) -> NDArray[np.float32]:
        """Pictures [n, c, h, w] in -1..1."""
        return pictures_of(self._runtime, self.bundle.manifest, latents)

    def logits(self, latents: Vector, chunk: int = 512) -> NDArray[np.float32]:
        """Logits [n, k] of the pictures of latents [n, size]; pictures are not all kept at once."""
        parts = [self.classifier.logits(self.pictures(latents[k : k + chunk])) for k in range(0, len(latents), chunk)]
        return np.concatenate(parts)


def study(lens: Lens, samples: int, report: Report) -> Study:
    """Seeds 0..samples-1 through the lens."""
    latents = draw(lens.bundle.manifest.latent, range(samples))
    logits = []
    for start in range(0, samples, 2000):
        logits.append(lens.logits(latents[start : start + 2000]))
        report(f"scored {min(start + 2000, samples)} of {samples} samples")
    return Study(latents, np.concatenate(logits), lens.classifier.names)


def learn(found: Study, titles: Mapping[str, str]) -> list[Direction]:
    """A direction for every attribute, each at right angles to all others so that these stay as they are.

    `titles` maps attribute names to direction names. One unit is stated in `UNIT`; before the others are locked.
    """
    raw = {name: by_regression(found.latents, found.logits[:, k]) for k, name in enumerate(found.names)}
    made = []
    for name, (vector, share) in raw.items():
        free = orthogonal(vector, [raw[other][0] for other in raw if other != name])
        kept = float(np.linalg.norm(free)) / max(float(np.linalg.norm(vector)), 1e-12)
        scaled = np.asarray(free / max(kept, 1e-6), np.float32)
        measured: dict[str, Any] = {"linear_share": round(share, 4), "cosine_to_unlocked": round(kept, 4)}
        made.append(Direction(titles.get(name, name), scaled, "learned", UNIT, measured))
    return made


def measure(lens: Lens, directions: Sequence[Direction], names: Sequence[str], report: Report) -> list[Direction]:
    """The same directions with their figures over `FLIP_SEEDS` seeds; `names` are the attributes in their order."""
    prior = lens.bundle.manifest.latent
    latents = draw(prior, range(FIRST_FLIP_SEED, FIRST_FLIP_SEED + FLIP_SEEDS))
    before = lens.logits(latents) > 0
    done = []
    for column, direction in enumerate(directions):
        figures = _flips(lens, latents, before, direction.vector, column)
        report(f"{direction.name}: {figures}")
        measured = {**direction.measured, **figures, "classifier_accuracy": lens.classifier.accuracy[names[column]]}
        done.append(Direction(direction.name, direction.vector, direction.origin, direction.unit, measured))
    return done


def _flips(lens: Lens, latents: Vector, before: Mask, vector: Vector, column: int) -> dict[str, Any]:
    """Walk every seed to the other side of the attribute, in steps; a latent is brought back to the prior each time."""
    prior = lens.bundle.manifest.latent
    toward = np.where(before[:, column], -1.0, 1.0).astype(np.float32)
    others = [k for k in range(before.shape[1]) if k != column]
    flipped, clean = np.zeros(len(latents), bool), np.zeros(len(latents), bool)
    for step in STEPS:
        moved = latents + step * toward[:, None] * vector
        after = lens.logits(np.stack([normalise(prior, row) for row in moved])) > 0
        changed = after[:, column] != before[:, column]
        flipped |= changed
        clean |= changed & (after[:, others] == before[:, others]).all(1)
    present = before[:, column]
    return {
        "seeds": len(latents),
        "range_units": STEPS[-1],
        "flips": _share(flipped),
        "flips_others_stay": _share(clean),
        "flips_to_yes": _share(flipped[~present]),
        "flips_to_no": _share(flipped[present]),
        "share_before": _share(present),
    }


def _share(mask: Mask) -> float:
    return round(float(mask.mean()), 4) if len(mask) else 0.0


def ship(bundle: Bundle, directions: Sequence[Direction]) -> Bundle:
    """The bundle with these directions in it, published in its own folder; its digest changes with it."""
    stage = staging_folder(bundle.folder)
    shutil.copytree(bundle.folder, stage, dirs_exist_ok=True)
    (stage / FILE).write_bytes(directions_to_bytes(directions))
    write_manifest(stage, bundle.manifest.model_dump(mode="json", exclude={"files"}))
    return publish(stage, bundle.folder)
