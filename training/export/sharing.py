"""Weights stored once: the graphs of a bundle read their tensors from the bundle's own weights.safetensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.numpy import load_file
from torch import nn

from models.manifest import Weights
from training.errors import ExportError
from training.export.tensors import Place, write_tensors

WEIGHTS = "weights.safetensors"
DISCRIMINATOR = "discriminator"
FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)

Precision = Literal["float32", "float16", "float16-discriminator"]
Array = NDArray[np.generic]


@dataclass
class _Part:
    """One graph and the tensors of its network; `uses` says which of them each initializer of the graph is."""

    name: str
    file: Path
    model: onnx.ModelProto
    tensors: dict[str, Array]
    uses: dict[str, str] = field(default_factory=dict)


def precision_of(word: str) -> Precision:
    """The precision of that name. Raises ExportError for any other word."""
    if word not in get_args(Precision):
        raise ExportError(f"--weights {word}: one of {', '.join(get_args(Precision))}")
    return cast(Precision, word)


def share_weights(folder: Path, graphs: Iterable[str], precision: Precision = "float32") -> Weights:
    """Rewrites `weights.safetensors` and the ONNX files `graphs` of a folder so that each tensor is there once.

    The safetensors file must hold each network's tensors under its graph's stem (`level-0.…`). A network whose norms the
    exporter folded into other tensors is kept as its graph has it. `float16` rounds matrices and kernels that the network
    itself has; a Cast in the graph makes them float32 again, so that everything is computed as before.
    """
    everything = load_file(folder / WEIGHTS)
    parts = [_read(folder / graph, everything) for graph in graphs]
    for part in parts:
        folded = _match(part)
        if is_half(part.name, precision):
            part.tensors = {key: x if key in folded else _rounded(x) for key, x in part.tensors.items()}
    places = write_tensors(folder / WEIGHTS, {key: x for part in parts for key, x in part.tensors.items()})
    for part in parts:
        _point(part, places)
    return Weights(file=WEIGHTS, precision=precision)


def is_half(part: str, precision: Precision) -> bool:
    """Whether the tensors of the part with this name are stored as float16."""
    return precision == "float16" or (precision == "float16-discriminator" and part == DISCRIMINATOR)


def round_network(module: nn.Module) -> None:
    """Rounds what `share_weights` would store as float16, in place: what is compared is then what is stored."""
    for tensor in module.state_dict().values():
        if tensor.is_floating_point() and tensor.dim() > 1:
            tensor.copy_(tensor.half().float())


def _read(file: Path, everything: dict[str, Array]) -> _Part:
    prefix = f"{file.stem}."
    own = {key: tensor for key, tensor in everything.items() if key.startswith(prefix)}
    return _Part(file.stem, file, onnx.load(file), own)


def _match(part: _Part) -> set[str]:
    """Finds each initializer among the network's tensors; returns the names of those that a norm was folded into."""
    known = {_identity(tensor): key for key, tensor in reversed(part.tensors.items())}
    raw, folded = dict(part.tensors), set[str]()
    for tensor in _weights_of(part.model):
        array = numpy_helper.to_array(tensor)
        own = f"{part.name}.{tensor.name.removeprefix('module.')}"
        if key := known.get(_identity(array)):
            part.uses[tensor.name] = key
        elif own in raw:  # of the same name and other values: a norm is folded into it
            part.uses[tensor.name] = own
            part.tensors[own] = array
            folded.add(own)
    if folded:  # what it was folded from would be the same weights again
        used = set(part.uses.values())
        part.tensors = {key: tensor for key, tensor in part.tensors.items() if key in used}
    return folded


def _identity(array: Array) -> tuple[str, tuple[int, ...], bytes]:
    return str(array.dtype), array.shape, array.tobytes()


def _weights_of(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Float tensors with axes; numbers and shapes are part of the graph."""
    return (tensor for tensor in model.graph.initializer if tensor.data_type in FLOATS and tensor.dims)


def _rounded(tensor: Array) -> Array:
    if tensor.dtype != np.float32 or tensor.ndim < 2:
        return tensor
    with np.errstate(over="ignore"):
        half = tensor.astype(np.float16)
    if not np.isfinite(half).all():
        raise ExportError("a weight is larger than float16 can say; use --weights float32")
    return half


def _point(part: _Part, places: dict[str, Place]) -> None:
    """Replaces the values in the graph by where they lie."""
    casts = []
    for tensor in list(_weights_of(part.model)):
        if tensor.name not in part.uses:
            continue
        key = part.uses[tensor.name]
        if part.tensors[key].dtype == np.float16 and tensor.data_type == onnx.TensorProto.FLOAT:
            casts.append(_as_half(tensor))
        _make_external(tensor, places[key])
    for node in reversed(casts):
        part.model.graph.node.insert(0, node)
    part.file.write_bytes(part.model.SerializeToString(deterministic=True))


def _as_half(tensor: onnx.TensorProto) -> onnx.NodeProto:
    """Renames a tensor that is stored as float16 and returns the node that gives its old name the float32 of it."""
    name = tensor.name
    tensor.name, tensor.data_type = f"{name}.float16", onnx.TensorProto.FLOAT16
    return onnx.helper.make_node("Cast", [tensor.name], [name], name=f"{name}.cast", to=onnx.TensorProto.FLOAT)


def _make_external(tensor: onnx.TensorProto, place: Place) -> None:
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", WEIGHTS), ("offset", place.offset), ("length", place.length)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
