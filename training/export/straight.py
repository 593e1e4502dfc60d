"""A bundle whose first level takes straight latents: the turns go in front of its graph, its pictures stay what they were."""

from __future__ import annotations

import shutil
import tempfile
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import compose
from safetensors.numpy import load_file, save_file

from models.bundle import Bundle, publish, staging_folder, write_manifest
from models.manifest import STRAIGHT, TURNED, ExportCheck, Manifest
from models.mathematics.directions import FILE as DIRECTIONS
from models.mathematics.latents import draw
from models.runtimes import open_runtime
from models.runtimes.chain import pictures_of
from training.errors import ExportError
from training.export.card import write_card
from training.export.compact import copy_files, without_scripts
from training.export.graphs import OPSET, Graph, write_graph
from training.export.preview import write_preview
from training.export.sharing import WEIGHTS, round_network, share_weights
from training.networks.straightening import PREFIX, Straightening

COMPARED = 64
TOLERANCE = 1e-3  # of the range -1 … 1: the turns and back in float32, then the generator


def straight(bundle: Bundle, turns: Straightening) -> Bundle:
    """Puts the turns in front of a bundle's first level and publishes it in its place; its digest changes with it.

    Directions, scores and TorchScript files are of the latents as they were, and go. Raises ExportError, and changes nothing,
    where the latent is no vector of the standard normal distribution or a picture would be another one.
    """
    refuse_others(bundle)
    staging = staging_folder(bundle.folder)
    try:
        turns = _rounded(turns, bundle)
        new = _written(bundle, turns, staging)
        difference = _difference(bundle, new, turns)
        if not difference <= TOLERANCE:
            raise ExportError(f"not written: pictures differ by {difference:.2g} from those they were")
        write_preview(new, None, staging / "preview.png")
        graph = new.manifest.levels[0].files.onnx_file
        check = ExportCheck(file=f"{graph} beside {bundle.reference}", max_abs_difference=difference)
        done = new.manifest.model_copy(update={"export_checks": (check,)})
        write_card(staging / "README.md", done)
        write_manifest(staging, dict(done))
        return publish(staging, bundle.folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def turns_of(bundle: Bundle) -> Straightening | None:
    """The turns in front of a bundle's first level; None where there are none."""
    part = f"level-0.{PREFIX}"
    weights = load_file(bundle.path(bundle.manifest.weights.file)) if bundle.manifest.weights else {}
    own = {key.removeprefix(part): torch.from_numpy(x) for key, x in weights.items() if key.startswith(part)}
    if not own:
        return None
    shuffles, (hidden, kept), axes = own["shuffles"], own["turns.0.hidden.weight"].shape, own["turns.0.axes.bias"]
    size = shuffles.shape[1]
    turns = Straightening(size, len(shuffles) - 1, hidden, len(axes) // (2 * (size - kept)))
    turns.load_state_dict(own)
    return turns.requires_grad_(False)


def turns_like(bundle: Bundle) -> Straightening:
    """The turns of a straight bundle. Raises ExportError for one that is not straight."""
    turns = turns_of(bundle)
    if turns is None:
        raise ExportError(f"'{bundle.name}' has no straight latents")
    return turns


def refuse_others(bundle: Bundle) -> None:
    """Raises ExportError for a bundle whose latents cannot be straightened."""
    latent = bundle.manifest.latent
    if latent.distribution != "standard_normal" or not latent.cuts or len(latent.cuts[0].shape) != 1:
        raise ExportError(f"'{bundle.name}' does not begin with a vector of the standard normal distribution")
    if latent.cuts[0].name == STRAIGHT or bundle.manifest.weights is None:
        why = "has straight latents already" if latent.cuts[0].name == STRAIGHT else "keeps its weights in its graphs"
        raise ExportError(f"'{bundle.name}' {why}")


def _rounded(turns: Straightening, bundle: Bundle) -> Straightening:
    """In the precision that the bundle keeps its weights in."""
    found = deepcopy(turns)
    if bundle.manifest.weights is not None and bundle.manifest.weights.precision == "float16":
        round_network(found)
    return found


def _written(old: Bundle, turns: Straightening, staging: Path) -> Bundle:
    weights = old.manifest.weights
    assert weights is not None
    graphs = [files.onnx_file for files in old.manifest.graphs]
    copy_files(old, staging, but=(DIRECTIONS,))
    tensors = {f"level-0.{PREFIX}{name}": tensor.numpy() for name, tensor in turns.state_dict().items()}
    save_file(load_file(staging / WEIGHTS) | tensors, staging / WEIGHTS, metadata={"format": "pt"})
    onnx.save(_with_turns(old, turns), staging / graphs[0])
    others = {graph: onnx.load(old.path(graph)) for graph in graphs[1:]}
    for graph, model in others.items():
        onnx.save(model, staging / graph)
    shared = share_weights(staging, graphs, weights.precision)
    return write_manifest(staging, dict(_described(old.manifest)) | {"weights": shared})


def _described(manifest: Manifest) -> Manifest:
    """The manifest with the space's new name, without what is gone."""
    cuts = (manifest.latent.cuts[0].model_copy(update={"name": STRAIGHT}), *manifest.latent.cuts[1:])
    latent = manifest.latent.model_copy(update={"cuts": cuts})
    return without_scripts(manifest).model_copy(update={"latent": latent, "scores": (), "export_checks": ()})


def _with_turns(old: Bundle, turns: Straightening) -> onnx.ModelProto:
    """The graph of the turns, then the first level's own, their tensors inside it. ExportError for a graph of other operators."""
    level = onnx.load(old.path(old.manifest.levels[0].files.onnx_file))
    size = old.manifest.latent.cuts[0].size
    with tempfile.TemporaryDirectory() as folder:
        front = Graph(turns, {STRAIGHT: torch.randn(2, size)}, (TURNED.removeprefix(PREFIX),), "turns")
        ahead = onnx.load(Path(folder) / str(write_graph(front, Path(folder)).onnx))
    if level.opset_import[0].version != ahead.opset_import[0].version:
        raise ExportError(f"'{old.name}' has a graph of opset {level.opset_import[0].version}, turns need {OPSET}")
    for model in (ahead, level):
        model.ir_version = max(ahead.ir_version, level.ir_version)
    ahead = compose.add_prefix(ahead, PREFIX)
    merged = compose.merge_models(ahead, level, [(TURNED, "noise")])
    del merged.opset_import[1:]  # each brought its own, of the same version
    _rename_input(merged, f"{PREFIX}{STRAIGHT}", "noise")
    return merged


def _rename_input(model: onnx.ModelProto, name: str, new: str) -> None:
    for value in model.graph.input:
        value.name = new if value.name == name else value.name
    for node in model.graph.node:
        node.input[:] = [new if taken == name else taken for taken in node.input]


def _difference(old: Bundle, new: Bundle, turns: Straightening) -> float:
    """Pictures of the same places: of `old` at z, of `new` at the w that the turns bring to z."""
    latents = draw(old.manifest.latent, range(COMPARED))
    size = old.manifest.latent.cuts[0].size
    first = turns.inverse(torch.from_numpy(latents[:, :size])).detach().numpy()
    moved = np.concatenate([first, latents[:, size:]], 1)
    before, after = open_runtime(old), open_runtime(new)
    pictures = pictures_of(before, old.manifest, latents), pictures_of(after, new.manifest, moved)
    before.close()
    after.close()
    return float(np.abs(pictures[0] - pictures[1]).max())
