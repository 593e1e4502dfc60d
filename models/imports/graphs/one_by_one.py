"""A graph whose batch cannot be freed, as where pictures became groups of a convolution: computed for one row after another."""

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, compose, helper, numpy_helper

MOST_ROWS = 16
"""A graph made for more pictures at once would compute so many to give one."""


def one_by_one(model: ModelProto, batch: int) -> ModelProto:
    """A graph in a bundle's signature for exactly `batch` rows, as one for any number: a Scan over the rows of its inputs.

    Each row is computed `batch` times beside itself, and the first picture is taken.
    """
    body = compose.add_prefix(model, "rows/").graph  # names inside may not be those outside
    _take_row(body, batch)
    _give_first(body)
    names = [value.name for value in model.graph.input]
    scan = helper.make_node("Scan", names, ["picture"], body=body, num_scan_inputs=len(names))
    outer = helper.make_graph([scan], "one_by_one", list(model.graph.input), list(model.graph.output))
    return helper.make_model(outer, opset_imports=list(model.opset_import), ir_version=model.ir_version)


def _take_row(body: GraphProto, batch: int) -> None:
    """Inputs [batch, k] become a row [k], which is put beside itself."""
    before = []
    for value in body.input:
        name, width = value.name, value.type.tensor_type.shape.dim[1].dim_value
        shape = numpy_helper.from_array(np.asarray([batch, width], np.int64), f"{name}_shape")
        body.initializer.append(shape)
        before.append(helper.make_node("Expand", [f"{name}_row", shape.name], [name]))
        value.CopyFrom(helper.make_tensor_value_info(f"{name}_row", TensorProto.FLOAT, [width]))
    nodes = [*before, *body.node]
    del body.node[:]
    body.node.extend(nodes)


def _give_first(body: GraphProto) -> None:
    made = body.output[0].name
    sides = [side.dim_value for side in body.output[0].type.tensor_type.shape.dim[1:]]
    body.initializer.append(numpy_helper.from_array(np.asarray(0, np.int64), f"{made}_first"))
    body.node.append(helper.make_node("Gather", [made, f"{made}_first"], [f"{made}_row"], axis=0))
    body.output[0].CopyFrom(helper.make_tensor_value_info(f"{made}_row", TensorProto.FLOAT, sides))
