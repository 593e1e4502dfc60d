"""Rewrites a bundle so that each weight is in it once: no TorchScript, graphs that read the safetensors file."""

from __future__ import annotations

import re
import shutil
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.bundle import Bundle, publish, read_bundle, staging_folder, write_manifest
from models.manifest import ExportCheck, Files, Manifest
from models.runtimes import open_runtime
from models.runtimes.base import Array, Runtime, to_pixels
from models.runtimes.trial import picture_chains
from training.errors import ExportError
from training.export.sharing import WEIGHTS, Precision, share_weights
from training.export.torchscript import PICTURES, pictures_to_discriminate

ROUNDER: dict[Precision, tuple[Precision, ...]] = {
    "float32": ("float16-discriminator", "float16"), "float16-discriminator": ("float16",), "float16": (),
}  # fmt: skip
"""What weights of a precision may be rounded to later."""
EXACT = 1e-5  # of the range -1 … 1; a runtime may lay tensors out differently when they come from another file


@dataclass(frozen=True)
class Compacted:
    """The new bundle beside the old one: bytes, largest difference of a pixel over 64 seeds (steps of 255), of a logit."""

    bundle: Bundle
    bytes_before: int
    bytes_after: int
    pixel_steps: int
    logits: float


def compact(folder: Path, precision: Precision = "float32") -> Compacted:
    """Replaces the bundle in `folder`; the same bundle and precision give the same bytes.

    Preview, card, directions, provenance and scores stay; `export_checks` says how far each graph is from the old one.
    Raises ExportError, and changes nothing, when the bundle has no weights file, is compact already (it may
    be rounded further later), or when float32 weights give other pictures.
    """
    old = read_bundle(folder)
    _refuse_finished(old, precision)
    staging = staging_folder(folder)
    try:
        new = _written(old, staging, precision)
        found = compare(old, new)
        checks = (*_checks_of_others(old, new), *found.checks)
        if precision == "float32" and max(check.max_abs_difference for check in found.checks) > EXACT:
            raise ExportError(f"not written: '{old.name}' would give other pictures: {found.checks}")
        write_manifest(staging, dict(new.manifest) | {"export_checks": checks})
        before, after = size_of(old), size_of(read_bundle(staging))
        return Compacted(publish(staging, folder), before, after, found.pixel_steps, found.logits)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _refuse_finished(old: Bundle, precision: Precision) -> None:
    if WEIGHTS not in old.manifest.files:
        raise ExportError(f"'{old.name}' has no {WEIGHTS}")
    stored, scripts = old.manifest.weights, any(files.torchscript for files in old.manifest.graphs)
    if stored and not (scripts and stored.precision == precision) and precision not in ROUNDER[stored.precision]:
        raise ExportError(f"'{old.name}' is compact already, with {stored.precision} weights")


def size_of(bundle: Bundle) -> int:
    """Bytes of all files of a bundle but the manifest."""
    return sum(record.bytes for record in bundle.manifest.files.values())


def _written(old: Bundle, staging: Path, precision: Precision) -> Bundle:
    graphs = [files.onnx_file for files in old.manifest.graphs]
    copy_files(old, staging)
    known = old.manifest.weights  # an export of fewer bits wrote its weights once: only its scripts go
    is_finished = known is not None and known.precision == precision
    shared = known if is_finished else share_weights(staging, graphs, precision)
    changed = without_scripts(old.manifest).model_copy(update={"format_version": 2, "weights": shared})
    return write_manifest(staging, dict(changed))


def copy_files(bundle: Bundle, folder: Path, but: Container[str] = ()) -> None:
    """Copies a bundle's files into a folder: all but its TorchScript, its manifest and those that are named."""
    scripts = {files.torchscript for files in bundle.manifest.graphs}
    for file in bundle.manifest.files:
        if file not in scripts and file not in but:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.path(file), folder / file)


def without_scripts(manifest: Manifest) -> Manifest:
    """The manifest of the same bundle without TorchScript files."""
    levels = tuple(level.model_copy(update={"files": Files(onnx=level.files.onnx_file)}) for level in manifest.levels)
    discriminator = manifest.discriminator
    if discriminator is not None:
        discriminator = discriminator.model_copy(update={"files": Files(onnx=discriminator.files.onnx_file)})
    return manifest.model_copy(update={"levels": levels, "discriminator": discriminator})


def _checks_of_others(old: Bundle, new: Bundle) -> Iterator[ExportCheck]:
    """What was measured of the network itself when it was exported; it says nothing of files that are gone."""
    gone = {files.torchscript for files in old.manifest.graphs}
    return (
        check
        for check in old.manifest.export_checks
        if check.file not in gone and not re.search(r" beside ", check.file)
    )


@dataclass(frozen=True)
class Comparison:
    """How far a bundle is from another that should be the same: a check a graph, and the worst of each kind."""

    checks: tuple[ExportCheck, ...]
    pixel_steps: int
    logits: float


def compare(old: Bundle, new: Bundle) -> Comparison:
    """Every level's pictures of 64 seeds, each going on from its own, and the logits on 64 pictures, by ONNX Runtime."""
    before, after = open_runtime(old), open_runtime(new)
    worst, steps = [0.0] * len(new.manifest.levels), 0
    for ours, theirs in zip(picture_chains(after, new.manifest), picture_chains(before, old.manifest), strict=True):
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            level = min(place, len(worst) - 1)
            worst[level] = max(worst[level], float(np.abs(one - other).max()))
            steps = max(steps, int(np.abs(to_pixels(one).astype(int) - to_pixels(other).astype(int)).max()))
    checks = [
        _check(level.files.onnx_file, old, found) for level, found in zip(new.manifest.levels, worst, strict=True)
    ]
    difference = 0.0
    if new.manifest.discriminator is not None:
        difference = logit_difference(before, after, new.manifest)
        checks.append(_check(new.manifest.discriminator.files.onnx_file, old, difference))
    before.close()
    after.close()
    return Comparison(tuple(checks), steps, difference)


def _check(file: str, old: Bundle, difference: float) -> ExportCheck:
    return ExportCheck(file=f"{file} beside {old.reference}", max_abs_difference=difference)


def logit_difference(before: Runtime, after: Runtime, manifest: Manifest) -> float:
    """Relative to the largest value that was given before: logits and features have no fixed range."""
    pictures = pictures_to_discriminate(manifest, PICTURES)
    one, other = before.discriminate(pictures), after.discriminate(pictures)
    return max(_relative(one.logits, other.logits), _relative(one.features, other.features))


def _relative(wanted: Array, given: Array) -> float:
    return float(np.abs(given - wanted).max() / max(1.0, float(np.abs(wanted).max())))
