"""Opens a recognised file: a graph to mend and dress, and the original to compare with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onnx import ModelProto
from safetensors import SafetensorError
from safetensors.numpy import load_file

from models.errors import ImportRefusedError
from models.imports.checkpoints.archive import read_weights
from models.imports.checkpoints.emit import emit
from models.imports.checkpoints.network import network_of
from models.imports.checkpoints.weights import Tensors, generator_state, generator_weights, modules_of
from models.imports.graphs.file import checked, parse_onnx, read_onnx
from models.imports.options import Options
from models.imports.probes import Original
from models.imports.recognise import Source
from models.imports.report import Report
from models.imports.torch_files import TorchNetwork, layers_named, read_checkpoint
from models.imports.torch_modules import TorchModule, named_class, open_class, open_script
from models.runtimes.torchscript import has_torch

MAX_CONFIG_BYTES = 1 << 20
HINTS = {
    "latent": ("latent_dim", "latent_size", "nz", "z_dim", "noise_dim", "latent"),
    "size": ("image_size", "img_size", "sample_size", "resolution"),
    "last": ("final_activation", "output_activation"),
    "activation": ("activation", "hidden_act"),
}
"""Options by the words that config.json files use for them."""


@dataclass(frozen=True)
class Foreign:
    """An opened file: its graph with the foreign names, and what computes the same pictures without it, if anything does.

    `script`: a TorchScript file's module, which can be kept as it is; where it cannot be exported there is no graph.
    """

    model: ModelProto | None
    original: Original | None = None
    script: TorchModule | None = None


def open_source(source: Source, options: Options, report: Report) -> Foreign:
    """Raises ImportRefusedError or RuntimeUnavailableError with a sentence."""
    if source.kind == "onnx":
        return Foreign(read_onnx(source.path))
    if source.kind == "torchscript":
        return _scripted(open_script(source.path, options), report)
    options = with_config(source, options, report)
    if options.class_ is not None:
        return _exported(open_class(_state(source, options, report), options), report)
    if source.kind == "safetensors":
        return _from_weights(_safetensors(source.path), options, report, in_order=False)
    return _from_weights(read_weights(source.path), options, report, in_order=True)


def _from_weights(tree: Mapping[str, Any], options: Options, report: Report, *, in_order: bool) -> Foreign:
    modules = modules_of(generator_weights(tree, report), in_order=in_order)
    network = network_of(modules, options, report)
    original = TorchNetwork(network) if has_torch() else None
    return Foreign(checked(emit(network), "the checkpoint"), original)


def _exported(module: TorchModule, report: Report) -> Foreign:
    model = checked(parse_onnx(module.to_onnx(), "the exported graph"), "the exported graph")
    report.add("graph", "exported to ONNX, compared with the original on 64 latents", "measured")
    return Foreign(model, module)


def _scripted(module: TorchModule, report: Report) -> Foreign:
    try:
        return replace(_exported(module, report), script=module)
    except ImportRefusedError as error:
        return kept_as_script(module, error, report)


def kept_as_script(module: TorchModule, reason: ImportRefusedError, report: Report) -> Foreign:
    """TorchScript without a graph, since it could not be exported or its graph gave other pictures."""
    report.add("graph", f"kept as TorchScript, which the server needs PyTorch for ({reason})", "measured")
    return Foreign(None, module, module)


def _state(source: Source, options: Options, report: Report) -> Tensors:
    """The weights for a class that the user named; a whole pickled model of that class gives its own."""
    report.add("class", f"{options.class_} with {options.init or 'no arguments'}; your own code was run", "said")
    if source.kind == "safetensors":
        return generator_state(_safetensors(source.path), report)
    trusted = [named_class(options), *layers_named(source.path)]
    return generator_state(read_checkpoint(source.path, trusted), report)


def _safetensors(path: Path) -> dict[str, Any]:
    try:
        return dict(load_file(path))
    except (SafetensorError, ValueError, OSError, MemoryError, TypeError) as error:
        raise ImportRefusedError(f"{path.name} is no readable safetensors file, or is truncated: {error}") from None


def with_config(source: Source, options: Options, report: Report) -> Options:
    """The options with what `config.json` beside the weights says, where the user said nothing."""
    if source.config is None:
        return options
    said = _config(source.config)
    found = {
        field: next((said[word] for word in words if isinstance(said.get(word), int | str)), None)
        for field, words in HINTS.items()
    }
    fresh = {
        k: str(v) if k != "latent" else v
        for k, v in found.items()
        if v is not None and k not in options.model_fields_set
    }
    for field, value in fresh.items():
        report.add(f"config.json: {field}", value, "file")
    return Options.model_validate(options.model_dump(exclude_unset=True) | fresh)


def _config(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise ImportRefusedError("config.json is larger than 1 MiB")
    try:
        said = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        raise ImportRefusedError("config.json is not JSON") from None
    return said if isinstance(said, dict) else {}
