"""One page that shows bundles side by side: the same seeds, sizes, speed on this machine, and the scores they carry."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from models.bundle import Bundle
from models.counting import counted
from models.manifest import Score
from models.mathematics.latents import draw, seed_range
from models.runtimes import open_runtime
from models.runtimes.base import Runtime
from models.runtimes.chain import BATCH, pictures_of
from training.errors import EvaluationError
from training.run import samples
from training.run.page import filled, packed

TEMPLATE = Path(__file__).with_name("compare.html")
SEEDS = 64  # from the first; labels in turn
COLUMNS = 8
SHEET_PIXELS = 800
TRIALS = 5  # of which the fastest counts: others only show what else the machine did
LOWER_IS_BETTER = ("frechet", "kid", "kernel", "error", "imbalance", "linear_two_sample")
NEITHER = ("floor", "_of_real", "neighbour_ratio", "copies", "nn_two_sample", "nn_distance_ratio", "parzen")


def write_comparison(bundles: Sequence[Bundle], path: Path, first_seed: int = 0) -> Path:
    """Writes the page. Raises EvaluationError for a bundle that makes no pictures of its own."""
    for bundle in bundles:
        if not bundle.manifest.samples:
            raise EvaluationError(f"'{bundle.name}' sharpens pictures and makes none of its own")
    data = {
        "first": first_seed,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, ONNX Runtime",
        "bundles": [_described(bundle, first_seed) for bundle in counted(bundles, "bundles", len(bundles))],
        "scores": _scores(bundles),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(filled(TEMPLATE, data), encoding="utf-8")
    partial.replace(path)
    return path


def _described(bundle: Bundle, first_seed: int) -> dict[str, Any]:
    manifest = bundle.manifest
    image, seen = manifest.image, manifest.provenance.images_seen
    runtime = open_runtime(bundle, "onnx")
    try:
        pictures = pictures_of(runtime, manifest, draw(manifest.latent, _seeds(first_seed)), _labels(bundle))
        single, many = _speed(runtime, bundle, 1), _speed(runtime, bundle, BATCH)
    finally:
        runtime.close()
    return {
        "name": bundle.name,
        "reference": bundle.reference,
        "description": manifest.description,
        "sheet": packed(samples.grid(torch.from_numpy(pictures), COLUMNS), SHEET_PIXELS),
        "rows": {
            "picture": f"{image.width} × {image.height}, {'grey' if image.channels == 1 else 'colour'}",
            "family": manifest.family,
            "labels": len(manifest.labels) if manifest.conditional and manifest.labels else "none",
            "latent": manifest.latent.size,
            "graphs": f"{_graph_bytes(bundle) / 1e6:.1f} MB",
            "pictures seen": f"{seen:,}" if seen else "not stated",
            "one picture": f"{single * 1e3:.1f} ms",
            f"pictures a second, {BATCH} at once": f"{BATCH / many:,.0f}",
        },
    }


def _seeds(first: int) -> list[int]:
    return seed_range(first, SEEDS)


def _labels(bundle: Bundle, count: int = SEEDS) -> list[int | None]:
    classes = len(bundle.manifest.labels or ()) if bundle.manifest.conditional else 0
    return [k % classes if classes else None for k in range(count)]


def _speed(runtime: Runtime, bundle: Bundle, count: int) -> float:
    """Seconds for `count` pictures at once, the fastest of some trials."""
    vectors, labels = draw(bundle.manifest.latent, seed_range(0, count)), _labels(bundle, count)
    taken = []
    for _ in counted(range(TRIALS), f"trials of {count} at once", TRIALS):
        started = time.perf_counter()
        pictures_of(runtime, bundle.manifest, vectors, labels)
        taken.append(time.perf_counter() - started)
    return min(taken)


def _graph_bytes(bundle: Bundle) -> int:
    """Of the ONNX files of all levels, which is what a server reads."""
    return sum(bundle.path(level.files.onnx_file).stat().st_size for level in bundle.manifest.levels)


def _scores(bundles: Sequence[Bundle]) -> list[dict[str, Any]]:
    """A row a score: every bundle's value or none, how each was measured, and, of one data set, the place of the best."""
    alike = len({bundle.manifest.provenance.dataset for bundle in bundles}) == 1
    by_bundle = [{score.name: score for score in bundle.manifest.scores} for bundle in bundles]
    names = list(dict.fromkeys(name for scores in by_bundle for name in scores))
    return [_row(name, [scores.get(name) for scores in by_bundle], alike) for name in names]


def _row(name: str, found: Sequence[Score | None], alike: bool) -> dict[str, Any]:
    values = [None if score is None else score.value for score in found]
    known = [value for value in values if value is not None]
    judged = alike and len(set(known)) > 1 and not any(part in name for part in NEITHER)
    wanted = min(known) if any(part in name for part in LOWER_IS_BETTER) else max(known)
    protocols = [score.protocol for score in found if score is not None]
    return {"name": name, "values": values, "best": values.index(wanted) if judged else None, "protocols": protocols}
