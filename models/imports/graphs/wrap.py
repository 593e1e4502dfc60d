"""Dresses a foreign graph in a bundle's signature: `noise` and `label` in, one float32 `picture` in -1..1 out."""

import math
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from models.imports.graphs.picture import Picture
from models.imports.graphs.roles import Input, Roles

PREFIX = "imported/"


class Dressing:
    """Nodes before and after the graph, written into it in place by `wrap`."""

    def __init__(self) -> None:
        self.before: list[NodeProto] = []
        self.after: list[NodeProto] = []
        self.weights: list[TensorProto] = []

    def stored(self, name: str, values: Sequence[float], dtype: type = np.int64) -> str:
        """A constant [k] by name."""
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name


def wrap(model: ModelProto, roles: Roles, picture: Picture, low: float, high: float) -> ModelProto:
    """A copy of `model` whose inputs are `noise` [batch, size] and `label` [batch, classes], its output `picture`.

    Values `low` and `high` of the graph's output become -1 and 1.
    """
    wrapped = onnx.compose.add_prefix(model, PREFIX)
    graph, dressing = wrapped.graph, Dressing()
    _give_latents(dressing, roles)
    _give_label(dressing, roles)
    _give_constants(graph, dressing, roles)
    _take_picture(dressing, picture, low, high)
    _assemble(graph, dressing, roles, picture)
    _forget_origin(wrapped)
    return wrapped


def _give_latents(dressing: Dressing, roles: Roles) -> None:
    start = 0
    for one in roles.latents:
        width = math.prod(side or 1 for side in one.per_row)
        part = "noise"
        if len(roles.latents) > 1:
            index = dressing.stored(f"wrap/{one.name}_columns", range(start, start + width))
            part = f"wrap/{one.name}_part"
            dressing.before.append(helper.make_node("Gather", ["noise", index], [part], axis=1))
        sides = dressing.stored(f"wrap/{one.name}_sides", [-1, *[side or 1 for side in one.per_row]])
        dressing.before.append(helper.make_node("Reshape", [part, sides], [f"wrap/{one.name}_shaped"]))
        _cast(dressing, f"wrap/{one.name}_shaped", one)
        start += width


def _give_label(dressing: Dressing, roles: Roles) -> None:
    if roles.label is None:
        return
    value = "label"
    if roles.form == "index":
        dressing.before.append(helper.make_node("ArgMax", ["label"], ["wrap/index"], axis=1, keepdims=0))
        sides = dressing.stored("wrap/index_sides", [-1, *[1 for _ in roles.label.per_row]])
        dressing.before.append(helper.make_node("Reshape", ["wrap/index", sides], ["wrap/index_shaped"]))
        value = "wrap/index_shaped"
    _cast(dressing, value, roles.label)


def _give_constants(graph: GraphProto, dressing: Dressing, roles: Roles) -> None:
    for name, value in roles.constants.items():
        values = value.astype(str).astype(object) if value.dtype == object else value
        graph.initializer.append(numpy_helper.from_array(values, PREFIX + name))


def _cast(dressing: Dressing, name: str, one: Input) -> None:
    dressing.before.append(helper.make_node("Cast", [name], [PREFIX + one.name], to=one.type))


def _take_picture(dressing: Dressing, picture: Picture, low: float, high: float) -> None:
    """Cast, channels first, and the affine map to -1..1 where the range is another."""
    value = "wrap/float"
    dressing.after.append(helper.make_node("Cast", [PREFIX + picture.output], [value], to=TensorProto.FLOAT))
    if picture.layout == "nhwc":
        dressing.after.append(helper.make_node("Transpose", [value], ["wrap/nchw"], perm=[0, 3, 1, 2]))
        value = "wrap/nchw"
    sides = dressing.stored("wrap/picture_sides", [-1, picture.channels, picture.height, picture.width])
    dressing.after.append(helper.make_node("Reshape", [value, sides], ["wrap/sized"]))
    gain = dressing.stored("wrap/gain", [2.0 / (high - low)], np.float32)
    shift = dressing.stored("wrap/shift", [-1.0 - 2.0 * low / (high - low)], np.float32)
    if (low, high) == (-1.0, 1.0):
        dressing.after[-1].output[0] = "picture"
        return
    dressing.after.append(helper.make_node("Mul", ["wrap/sized", gain], ["wrap/scaled"]))
    dressing.after.append(helper.make_node("Add", ["wrap/scaled", shift], ["picture"]))


def _assemble(graph: GraphProto, dressing: Dressing, roles: Roles, picture: Picture) -> None:
    nodes = [*dressing.before, *graph.node, *dressing.after]
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(dressing.weights)
    graph.input.append(helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["batch", roles.size]))
    if roles.label is not None:
        graph.input.append(helper.make_tensor_value_info("label", TensorProto.FLOAT, ["batch", roles.classes]))
    sides: list[str | int | None] = ["batch", picture.channels, picture.height, picture.width]
    graph.output.append(helper.make_tensor_value_info("picture", TensorProto.FLOAT, sides))


def _forget_origin(model: ModelProto) -> None:
    """Exporters note source paths of the machine that wrote the file; a bundle carries none."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:], model.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    model.producer_name, model.producer_version = "ganymede import", ""
