"""Frees a batch that was fixed at export: a graph made for 64 pictures must serve 1 and 100."""

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from models.imports.graphs.file import constants_of
from models.imports.graphs.mend import static_shapes

COUNT = "ganymede_count"


def free_batch(model: ModelProto, batch: int, leading: str) -> None:
    """Make every place that says `batch` pictures say as many as the input `leading` holds, in place.

    Only what the inputs reach is changed. The caller compares the result with the original: a graph that folds the
    batch into another axis cannot be freed and is found there.
    """
    shapes = static_shapes(model, batch)
    constants = constants_of(model.graph)
    reached = _reached(model.graph)
    _free_ends(model)
    for node in list(model.graph.node):
        if node.op_type == "Reshape" and node.input[0] in reached:
            if node.input[1] not in reached:  # else the shape follows the input already
                inferred = shapes.get(node.output[0], [])
                stored = _values(constants.get(node.input[1]))
                _free_reshape(model.graph, node, inferred if inferred and all(inferred) else stored, batch)
        elif node.op_type in ("Expand", "Tile", "ConstantOfShape"):
            _free_shape(model.graph, node, constants, batch)
        elif batch > 1:
            _free_repeated(model.graph, node, constants, batch, shapes)
    if any(COUNT in node.input for node in model.graph.node):
        _count_rows(model.graph, leading)


def _free_ends(model: ModelProto) -> None:
    for value in (*model.graph.input, *model.graph.output):
        sides = value.type.tensor_type.shape.dim
        if sides:
            sides[0].dim_param = "batch"


def _reached(graph: GraphProto) -> set[str]:
    """Names that depend on an input."""
    found = {value.name for value in graph.input}
    for node in graph.node:
        if found & set(node.input):
            found |= set(node.output)
    return found


def _free_reshape(graph: GraphProto, node: NodeProto, shape: list[int], batch: int) -> None:
    if not shape or shape[0] <= 0 or 0 in shape or shape[0] % batch or (batch == 1 and shape[0] != 1):
        return
    open_ = -1 in shape
    if open_ and shape[0] != batch:
        return
    node.input[1] = _stored(graph, f"{node.output[0]}_shape", [0 if open_ else -1, *shape[1:]])
    kept = [one for one in node.attribute if one.name != "allowzero"]  # with it, 0 would mean no rows
    del node.attribute[:]
    node.attribute.extend(kept)


def _free_shape(graph: GraphProto, node: NodeProto, constants: dict[str, TensorProto], batch: int) -> None:
    """A shape that names the batch first gets the count of rows there."""
    which = 0 if node.op_type == "ConstantOfShape" else 1
    shape = _values(constants.get(node.input[which]))
    if not shape or shape[0] != batch or len(shape) < 2:
        return
    rest = _stored(graph, f"{node.output[0]}_rest", shape[1:])
    _insert_before(graph, node, helper.make_node("Concat", [COUNT, rest], [f"{node.output[0]}_sides"], axis=0))
    node.input[which] = f"{node.output[0]}_sides"


def _free_repeated(
    graph: GraphProto, node: NodeProto, constants: dict[str, TensorProto], batch: int, shapes: dict[str, list[int]]
) -> None:
    """A learned constant that export wrote out once a picture: one row of it, expanded to as many as there are."""
    for k, name in enumerate(node.input):
        tensor = constants.get(name)
        if tensor is None or len(tensor.dims) < 2 or tensor.dims[0] != batch or node.op_type == "Constant":
            continue
        values = numpy_helper.to_array(tensor)
        if (k and shapes.get(node.output[0], [0])[0] != batch) or not (values == values[:1]).all():
            continue
        stem = f"{node.output[0]}_{k}"
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values[:1]), f"{stem}_row"))
        rest = _stored(graph, f"{stem}_rest", list(values.shape[1:]))
        _insert_before(graph, node, helper.make_node("Concat", [COUNT, rest], [f"{stem}_sides"], axis=0))
        _insert_before(graph, node, helper.make_node("Expand", [f"{stem}_row", f"{stem}_sides"], [f"{stem}_rows"]))
        node.input[k] = f"{stem}_rows"


def _count_rows(graph: GraphProto, leading: str) -> None:
    """How many rows the leading input has, as [n], at the head of the graph."""
    first = _stored(graph, f"{COUNT}_axis", [0])
    graph.node.insert(0, helper.make_node("Shape", [leading], [f"{COUNT}_shape"]))
    graph.node.insert(1, helper.make_node("Gather", [f"{COUNT}_shape", first], [COUNT]))


def _insert_before(graph: GraphProto, node: NodeProto, new: NodeProto) -> None:
    graph.node.insert(list(graph.node).index(node), new)


def _values(tensor: TensorProto | None) -> list[int]:
    if tensor is None or tensor.data_type != TensorProto.INT64:
        return []
    return [int(value) for value in numpy_helper.to_array(tensor).reshape(-1)]


def _stored(graph: GraphProto, name: str, values: list[int]) -> str:
    graph.initializer.append(numpy_helper.from_array(np.asarray(values, np.int64), name))
    return name
