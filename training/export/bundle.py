"""Turns a run into a bundle: writes every format, reopens each through models.runtimes, compares, and only then publishes.

The bundle is built in a hidden folder beside its place and moved there in one rename, so that a server that watches
the parent folder never sees half of one.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models.bundle import Bundle, publish, staging_folder, write_manifest
from models.manifest import Discriminator, ExportCheck, Score
from models.manifest import Level as ManifestLevel
from models.mathematics import latents
from models.runtimes.base import one_hot
from training import algorithms
from training.algorithms.base import Algorithm, Level, Setting
from training.compute.randomness import StepRandom
from training.data.batch import DataSpec
from training.errors import ExportError
from training.export.card import write_card
from training.export.check import compare
from training.export.graphs import DiscriminatorGraph, Graph, level_graph, write_graph
from training.export.preview import draw_pictures, preview_order, write_preview
from training.export.provenance import Trained, provenance
from training.export.sharing import DISCRIMINATOR, WEIGHTS, Precision, is_half, round_network, share_weights
from training.recipes.recipe import Recipe
from training.run import checkpoint
from training.run.run_folder import RunFolder

TOLERANCE = 1e-4  # of the range -1 … 1
HALF_TOLERANCE = 0.02  # samples of weights rounded to float16 beside those of the trained network: 2.5 steps of 255
SAMPLES_COMPARED = 16


@dataclass(frozen=True)
class Source:
    """A trained algorithm, ready to export, and what is known of its training."""

    algorithm: Algorithm
    trained: Trained


def open_run(folder: RunFolder, step: int | None = None) -> Source:
    """The algorithm of a run at a checkpoint, on the CPU in float32, with standing statistics.

    Without a step, the one with the best score is taken; of runs that were not scored, the newest.
    """
    recipe, facts = _on_cpu(folder.recipe()), folder.facts()
    spec = DataSpec(recipe.data.size, recipe.data.channels, tuple(facts["classes"]), recipe.data.width)
    algorithm = algorithms.build(Setting(recipe, spec))
    saved = checkpoint.load(folder.checkpoint_path(folder.best_step() if step is None else step))
    algorithm.load_state_dict(saved.algorithm)
    algorithm.refresh_statistics(StepRandom(recipe.run.seed, saved.step, 0))
    images = saved.step * algorithm.pictures_per_step
    return Source(algorithm, Trained(folder.recipe(), saved.step, images))


def export_run(
    folder: RunFolder,
    out: Path,
    name: str | None = None,
    step: int | None = None,
    scores: Sequence[Score] = (),
    weights: Precision = "float32",
) -> Bundle:
    """Writes the bundle `out/name` from a run; ExportError (and nothing written) when a file differs from the network.

    With `weights` float16 the network is rounded first: what is written is what was compared.
    """
    return export(open_run(folder, step), out, name or folder.recipe().name, scores, weights)


def export(
    source: Source, out: Path, name: str, scores: Sequence[Score] = (), weights: Precision = "float32"
) -> Bundle:
    """Writes the bundle `out/name`; see `export_run`."""
    staging = staging_folder(out / name)
    try:
        _build(source, staging, name, scores, weights)
        return publish(staging, out / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _build(source: Source, folder: Path, name: str, scores: Sequence[Score], precision: Precision) -> None:
    levels = source.algorithm.export_levels()
    discriminator = source.algorithm.export_discriminator()
    for part, module in _parts(levels, discriminator).items():
        if is_half(part, precision):
            round_network(module)
    graphs = _level_graphs(levels, len(source.algorithm.data.classes))
    discriminator_graph = None if discriminator is None else _discriminator_graph(discriminator, source.algorithm)
    _write_weights(folder, levels, discriminator)
    fields = _fields(source, name, levels, graphs, discriminator_graph, folder) | {"scores": tuple(scores)}
    stems = [graph.stem for graph in (*graphs, *([discriminator_graph] if discriminator_graph else []))]
    shared = share_weights(folder, [f"{stem}.onnx" for stem in stems], precision)
    fields |= {"format_version": 2, "weights": shared}
    bundle = write_manifest(folder, fields)
    checks = compare(bundle, graphs, discriminator_graph)
    samples = _compare_samples(bundle, source.algorithm)
    _refuse_differences(checks, TOLERANCE)
    _refuse_differences(samples, HALF_TOLERANCE if precision == "float16" else TOLERANCE)
    checks += samples
    write_preview(bundle, source.algorithm, folder / "preview.png")
    write_card(folder / "README.md", bundle.manifest)
    write_manifest(folder, fields | {"export_checks": tuple(checks)})


def _compare_samples(bundle: Bundle, algorithm: Algorithm) -> list[ExportCheck]:
    """The whole chain of reopened graphs against the trained networks, norms not folded: what is served is what was trained."""
    if not bundle.manifest.samples:
        return []
    seeds, labels = preview_order(bundle)
    chosen = slice(None, None, max(1, len(seeds) // SAMPLES_COMPARED))
    vectors = torch.from_numpy(latents.draw(bundle.manifest.latent, seeds[chosen]))
    classes = len(bundle.manifest.labels or ())
    label = torch.from_numpy(one_hot(labels[chosen], classes)) if bundle.manifest.conditional else None
    expected = algorithm.sample(vectors, label).numpy()
    given = draw_pictures(bundle, seeds[chosen], labels[chosen])
    last = bundle.manifest.levels[-1].files.onnx_file
    return [ExportCheck(file=f"samples through {last}", max_abs_difference=float(np.abs(given - expected).max()))]


def _refuse_differences(checks: Sequence[ExportCheck], limit: float) -> None:
    bad = [check for check in checks if not check.max_abs_difference <= limit]
    if bad:
        lines = ", ".join(f"{check.file} by {check.max_abs_difference:.2g}" for check in bad)
        raise ExportError(f"not written: differs from the network by more than {limit:g}: {lines}")


def _level_graphs(levels: Sequence[Level], labels: int) -> list[Graph]:
    return [
        level_graph(level, k, labels, side) for k, (level, side) in enumerate(zip(levels, _sides(levels), strict=True))
    ]


def _sides(levels: Sequence[Level]) -> list[int]:
    """Side of the picture each level takes; 0 where it takes none."""
    first = levels[0]
    entry = first.size // (first.factor or 1) if first.takes_previous else 0
    return [entry, *(lower.size for lower, _ in pairwise(levels))]


def _discriminator_graph(discriminator: nn.Module, algorithm: Algorithm) -> Graph:
    data = algorithm.data
    example = torch.rand(2, data.channels, *data.sides, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return Graph(DiscriminatorGraph(discriminator).eval(), {"image": example}, ("logits", "features"), "discriminator")


def _fields(
    source: Source,
    name: str,
    levels: Sequence[Level],
    graphs: Sequence[Graph],
    discriminator: Graph | None,
    folder: Path,
) -> dict[str, Any]:
    algorithm, recipe = source.algorithm, source.trained.recipe
    (height, width), data = levels[-1].sides, algorithm.data
    cuts = tuple(_cut(level, k) for k, level in enumerate(levels)) if algorithm.latent_size else ()
    return {
        "name": name,
        "family": recipe.algorithm,
        "description": recipe.description,
        "image": {"width": width, "height": height, "channels": data.channels},
        "latent": {"distribution": recipe.latent.distribution, "size": algorithm.latent_size, "cuts": cuts},
        "labels": data.classes if any(level.takes_label for level in levels) else None,
        "levels": tuple(
            _manifest_level(level, side, graph, folder)
            for level, side, graph in zip(levels, _sides(levels), graphs, strict=True)
        ),
        "upsampling": algorithm.upsampling(),
        "discriminator": None if discriminator is None else _discriminator(discriminator, algorithm, folder),
        "provenance": provenance(source.trained),
    }


def _cut(level: Level, index: int) -> dict[str, Any]:
    return {"name": "z" if len(level.noise_shape) == 1 else f"plane-{index}", "shape": level.noise_shape}


def _manifest_level(level: Level, side: int, graph: Graph, folder: Path) -> ManifestLevel:
    return ManifestLevel(
        previous=(side, side) if level.takes_previous else None,
        output=level.sides,
        label=level.takes_label,
        factor=level.factor,
        halo=level.halo,
        files=write_graph(graph, folder),
    )


def _discriminator(graph: Graph, algorithm: Algorithm, folder: Path) -> Discriminator:
    with torch.no_grad():
        _, features = graph.module(graph.inputs["image"])
    kind = algorithm.discriminator_kind
    classes = algorithm.data.classes if kind == "classes" else None
    return Discriminator(kind=kind, feature_size=features.shape[1], classes=classes, files=write_graph(graph, folder))


def _parts(levels: Sequence[Level], discriminator: nn.Module | None) -> dict[str, nn.Module]:
    """The networks by the stems of their graphs."""
    parts = {f"level-{k}": level.module for k, level in enumerate(levels)}
    return parts if discriminator is None else parts | {DISCRIMINATOR: discriminator}


def _write_weights(folder: Path, levels: Sequence[Level], discriminator: nn.Module | None) -> None:
    tensors: dict[str, Tensor] = {
        f"{part}.{name}": tensor.detach().clone().contiguous()
        for part, module in _parts(levels, discriminator).items()
        for name, tensor in module.state_dict().items()
    }
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def _on_cpu(recipe: Recipe) -> Recipe:
    here = {"device": "cpu", "precision": "float32", "channels_last": False}
    return recipe.model_copy(update={"run": recipe.run.model_copy(update=here)})
