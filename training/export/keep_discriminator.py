"""A bundle whose generator was trained on without a discriminator keeps the one of the bundle that it began with.

What was asked of it stays the same: its features lie in the indexes of users, and its logits are their scale of "real".
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import onnx
from safetensors.numpy import load_file, save_file

from models.bundle import Bundle, publish, staging_folder, write_manifest
from models.manifest import ExportCheck
from models.runtimes import open_runtime
from training.errors import ExportError
from training.export.bundle import export_run
from training.export.card import write_card
from training.export.compact import copy_files, logit_difference, without_scripts
from training.export.sharing import DISCRIMINATOR, WEIGHTS, Precision, share_weights
from training.run.run_folder import RunFolder

TOLERANCE = 0.02  # of the largest answer, where the new bundle stores weights as float16 and the former did not; else 0


def export_with_discriminator(
    run: RunFolder, out: Path, name: str, step: int | None, weights: Precision, former: Bundle
) -> Bundle:
    """Writes the bundle `out/name` from a run with the discriminator of `former`, which may lie in that very place.

    Raises ExportError, and changes nothing, where one of the two cannot be done.
    """
    staging = staging_folder(out / name)
    try:
        with tempfile.TemporaryDirectory() as elsewhere:
            kept = keep_discriminator(export_run(run, Path(elsewhere), name, step, weights=weights), former)
            shutil.copytree(kept.folder, staging, dirs_exist_ok=True)
        return publish(staging, out / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def keep_discriminator(bundle: Bundle, former: Bundle) -> Bundle:
    """Publishes `bundle` in its place with the discriminator of `former`, without TorchScript; its digest changes.

    Raises ExportError, and changes nothing, where `former` has none, `bundle` has one, their pictures differ in size, or
    the discriminator would answer otherwise.
    """
    refuse_others(bundle, former)
    staging = staging_folder(bundle.folder)
    try:
        new = _written(bundle, former, staging)
        difference = _difference(former, new)
        if not difference <= TOLERANCE:
            raise ExportError(
                f"not written: the discriminator's answers differ by {difference:.2g} from those they were"
            )
        file = f"{new.manifest.graphs[-1].onnx_file} beside {former.reference}"
        check = ExportCheck(file=file, max_abs_difference=difference)
        done = new.manifest.model_copy(update={"export_checks": (*new.manifest.export_checks, check)})
        write_card(staging / "README.md", done)
        write_manifest(staging, dict(done))
        return publish(staging, bundle.folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def refuse_others(bundle: Bundle, former: Bundle) -> None:
    """Raises ExportError where a discriminator cannot come along."""
    if former.manifest.discriminator is None or former.manifest.weights is None:
        raise ExportError(f"'{former.name}' has no discriminator beside its weights")
    if bundle.manifest.discriminator is not None:
        raise ExportError(f"'{bundle.name}' has a discriminator of its own")
    if bundle.manifest.image != former.manifest.image:
        raise ExportError(f"'{former.name}' judges pictures of another size than those of '{bundle.name}'")


def _written(bundle: Bundle, former: Bundle, staging: Path) -> Bundle:
    """Both's tensors in one file, read by both's graphs."""
    judge, weights = without_scripts(former.manifest).discriminator, bundle.manifest.weights
    assert judge is not None
    assert weights is not None
    copy_files(bundle, staging)
    tensors = load_file(former.path(WEIGHTS))
    own = {name: tensor for name, tensor in tensors.items() if name.startswith(f"{DISCRIMINATOR}.")}
    graphs = {files.onnx_file: bundle for files in bundle.manifest.graphs} | {judge.files.onnx_file: former}
    for graph, source in graphs.items():
        onnx.save(onnx.load(source.path(graph)), staging / graph)
    save_file(load_file(staging / WEIGHTS) | own, staging / WEIGHTS, metadata={"format": "pt"})
    shared = share_weights(staging, graphs, weights.precision)
    changed = without_scripts(bundle.manifest).model_copy(update={"discriminator": judge, "weights": shared})
    return write_manifest(staging, dict(changed))


def _difference(former: Bundle, new: Bundle) -> float:
    before, after = open_runtime(former), open_runtime(new)
    found = logit_difference(before, after, new.manifest)
    before.close()
    after.close()
    return found
