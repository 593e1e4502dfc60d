"""Opens a foreign ONNX file safely: external data inside its folder only, known operators only, sane sizes, real numbers."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from models.bundle import MAX_FILE_BYTES, safe_path
from models.errors import ImportRefusedError, UnsafePathError

KNOWN_DOMAINS = ("", "ai.onnx")
OLDEST_OPSET = 9
MAX_ELEMENTS = 1 << 28
"""Largest tensor inside a graph for one picture: a gigabyte as float32."""
MAX_NODES = 100_000


def read_onnx(path: Path) -> ModelProto:
    """The graph with all weights inside and functions inlined. Raises ImportRefusedError for whatever is off."""
    model = parse_onnx(path.read_bytes(), path.name)
    for tensor in tensors_of(model.graph):
        _take_external(tensor, path.parent)
    return checked(model, path.name)


def parse_onnx(data: bytes, name: str) -> ModelProto:
    """The bytes as a model. Raises ImportRefusedError when they are none."""
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        raise ImportRefusedError(f"{name} is no ONNX file, or is truncated") from None
    if not model.graph.node or not model.graph.output:
        raise ImportRefusedError(f"{name} holds no graph; it is no ONNX file, or is truncated")
    return model


def checked(model: ModelProto, name: str) -> ModelProto:
    """The model with functions inlined, weights no longer inputs, and nothing refused left in it."""
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    _check_operators(model, name)
    _check_numbers(model.graph)
    weights = {tensor.name for tensor in model.graph.initializer}
    real = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(real)
    del model.graph.value_info[:]
    model.ir_version = max(model.ir_version, 8)  # before 4, weights had to be inputs
    return model


def opset_of(model: ModelProto) -> int:
    """The version of the standard operators."""
    return max((one.version for one in model.opset_import if one.domain in KNOWN_DOMAINS), default=0)


def graphs_of(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.type == AttributeProto.GRAPH else attribute.graphs:
                yield from graphs_of(inner)


def nodes_of(graph: GraphProto) -> Iterator[NodeProto]:
    """Every node, those of inner graphs included."""
    for each in graphs_of(graph):
        yield from each.node


def tensors_of(graph: GraphProto) -> Iterator[TensorProto]:
    """Every stored tensor: initializers and attributes."""
    for each in graphs_of(graph):
        yield from each.initializer
        for sparse in each.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        for node in each.node:
            for attribute in node.attribute:
                if attribute.type == AttributeProto.TENSOR:
                    yield attribute.t
                yield from attribute.tensors


def constants_of(graph: GraphProto) -> dict[str, TensorProto]:
    """Stored tensors by the name they have in the graph: initializers and Constant nodes."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
    return found


def _take_external(tensor: TensorProto, folder: Path) -> None:
    if tensor.data_location != TensorProto.EXTERNAL:
        return
    where = {entry.key: entry.value for entry in tensor.external_data}
    try:
        path = safe_path(folder, where.get("location", ""))
        offset, length = int(where.get("offset", 0)), int(where.get("length", -1))
        size = path.stat().st_size if path.is_file() else -1
    except UnsafePathError:
        raise ImportRefusedError(
            f"the weights of {tensor.name!r} are said to lie outside the file's own folder; that is not followed"
        ) from None
    except (ValueError, OSError):
        raise ImportRefusedError(f"the place of the weights of {tensor.name!r} is damaged") from None
    if size < 0:
        raise ImportRefusedError(f"the weights lie in {path.name}, which is not beside the ONNX file; copy it there")
    length = size - offset if length < 0 else length
    if offset < 0 or offset + length > size or length > MAX_FILE_BYTES:
        raise ImportRefusedError(f"{path.name} has {size} bytes, too few for {tensor.name!r}; it is truncated")
    with path.open("rb") as stream:
        stream.seek(offset)
        tensor.raw_data = stream.read(length)
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]


def _check_operators(model: ModelProto, name: str) -> None:
    count = 0
    for node in nodes_of(model.graph):
        count += 1
        if node.domain not in KNOWN_DOMAINS:
            raise ImportRefusedError(
                f"{name} uses the operator {node.domain}::{node.op_type}, which is not in the ONNX standard; it would need "
                "foreign code; export it again with standard operators only"
            )
    if count > MAX_NODES:
        raise ImportRefusedError(f"{name} has {count:,} operations; the limit is {MAX_NODES:,}")
    if opset_of(model) < OLDEST_OPSET:
        raise ImportRefusedError(f"{name} uses operator set {opset_of(model)}; the oldest read is {OLDEST_OPSET}")


def _check_numbers(graph: GraphProto) -> None:
    for tensor in tensors_of(graph):
        try:
            values = array_of(tensor)
        except (ValueError, TypeError, OverflowError) as error:
            raise ImportRefusedError(f"the weights {tensor.name!r} are damaged: {error}") from None
        # A -inf of one number is how masks are written; weights never are.
        if values.size > 1 and values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ImportRefusedError(f"the weights {tensor.name!r} hold values that are not finite (NaN or infinity)")


def array_of(tensor: TensorProto) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """A stored tensor as an array. Raises ImportRefusedError for one that says it is larger than its bytes."""
    size = int(np.prod([max(0, side) for side in tensor.dims], dtype=np.float64)) if tensor.dims else 1
    if size > MAX_ELEMENTS * 2:
        raise ImportRefusedError(f"the weights {tensor.name!r} are said to hold {size:,} numbers")
    return np.asarray(numpy_helper.to_array(tensor))
