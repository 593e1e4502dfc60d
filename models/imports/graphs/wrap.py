"""Dresses a foreign graph in a bundle's signature: `noise` and `label` in, one float32 `picture` in -1..1 out."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from models.imports.graphs.file import nodes_of
from models.imports.graphs.picture import Picture
from models.imports.graphs.roles import Input, Roles

PREFIX = "imported/"


class Dressing:
    """Nodes before and after the graph, and which of its inputs take which value; `wrap` writes them into it."""

    def __init__(self) -> None:
        self.before: list[NodeProto] = []
        self.after: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.given: dict[str, str] = {}

    def stored(self, name: str, values: Sequence[float], dtype: type = np.int64) -> str:
        """A constant [k] by name."""
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def put(self, nodes: list[NodeProto], kind: str, inputs: Sequence[str], name: str, **settings: Any) -> str:
        """Add a node that makes the value `name`."""
        nodes.append(helper.make_node(kind, inputs, [name], **settings))
        return name

    def give(self, one: Input, value: str) -> None:
        """Let a float32 value be what an input of the graph takes, cast where that is of another type."""
        if one.type != TensorProto.FLOAT:
            value = self.put(self.before, "Cast", [value], f"wrap/{one.name}_cast", to=one.type)
        self.given[PREFIX + one.name] = value


def wrap(model: ModelProto, roles: Roles, picture: Picture, low: float, high: float) -> ModelProto:
    """A copy of `model` whose inputs are `noise` [batch, size] and `label` [batch, classes], its output `picture`.

    Values `low` and `high` of the graph's output become -1 and 1. Nothing is added that would change nothing.
    """
    wrapped = onnx.compose.add_prefix(model, PREFIX)
    graph, dressing = wrapped.graph, Dressing()
    _give_latents(dressing, roles)
    _give_label(dressing, roles)
    _give_constants(graph, dressing, roles)
    _take_picture(graph, dressing, picture, low, high)
    _assemble(graph, dressing, roles, picture)
    forget_origin(wrapped)
    return wrapped


def _give_latents(dressing: Dressing, roles: Roles) -> None:
    start = 0
    for one in roles.latents:
        width = math.prod(side or 1 for side in one.per_row)
        value = "noise"
        if len(roles.latents) > 1:
            columns = dressing.stored(f"wrap/{one.name}_columns", range(start, start + width))
            value = dressing.put(dressing.before, "Gather", [value, columns], f"wrap/{one.name}_part", axis=1)
        if len(one.per_row) > 1:
            sides = dressing.stored(f"wrap/{one.name}_sides", [-1, *[side or 1 for side in one.per_row]])
            value = dressing.put(dressing.before, "Reshape", [value, sides], f"wrap/{one.name}_shaped")
        dressing.give(one, value)
        start += width


def _give_label(dressing: Dressing, roles: Roles) -> None:
    if roles.label is None:
        return
    value = "label"
    if roles.form == "index":
        index = dressing.put(dressing.before, "ArgMax", [value], "wrap/index", axis=1, keepdims=0)
        sides = dressing.stored("wrap/index_sides", [-1, *[1 for _ in roles.label.per_row]])
        value = dressing.put(dressing.before, "Reshape", [index, sides], "wrap/index_shaped")
    dressing.give(roles.label, value)


def _give_constants(graph: GraphProto, dressing: Dressing, roles: Roles) -> None:
    for name, value in roles.constants.items():
        values = value.astype(str).astype(object) if value.dtype == object else value
        graph.initializer.append(numpy_helper.from_array(values, PREFIX + name))


def _take_picture(graph: GraphProto, dressing: Dressing, picture: Picture, low: float, high: float) -> None:
    """Cast, channels first, and the affine map to -1..1 where the range is another."""
    value, after = PREFIX + picture.output, dressing.after
    if _type_of(graph, value) != TensorProto.FLOAT:
        value = dressing.put(after, "Cast", [value], "wrap/float", to=TensorProto.FLOAT)
    if picture.layout == "nhwc":
        value = dressing.put(after, "Transpose", [value], "wrap/nchw", perm=[0, 3, 1, 2])
    elif picture.layout == "flat":
        sides = dressing.stored("wrap/picture_sides", [-1, picture.channels, picture.height, picture.width])
        value = dressing.put(after, "Reshape", [value, sides], "wrap/sized")
    if (low, high) != (-1.0, 1.0):
        gain = dressing.stored("wrap/gain", [2.0 / (high - low)], np.float32)
        shift = dressing.stored("wrap/shift", [-1.0 - 2.0 * low / (high - low)], np.float32)
        value = dressing.put(after, "Mul", [value, gain], "wrap/scaled")
        value = dressing.put(after, "Add", [value, shift], "wrap/shifted")
    dressing.put(after, "Identity", [value], "picture")


def _type_of(graph: GraphProto, output: str) -> int:
    return next(int(one.type.tensor_type.elem_type) for one in graph.output if one.name == output)


def _assemble(graph: GraphProto, dressing: Dressing, roles: Roles, picture: Picture) -> None:
    for node in nodes_of(graph):
        for k, name in enumerate(node.input):
            node.input[k] = dressing.given.get(name, name)
    nodes = [*dressing.before, *graph.node, *dressing.after]
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(dressing.weights)
    graph.input.append(helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["batch", roles.size]))
    if roles.label is not None:
        graph.input.append(helper.make_tensor_value_info("label", TensorProto.FLOAT, ["batch", roles.classes]))
    sides: list[str | int | None] = ["batch", picture.channels, picture.height, picture.width]
    graph.output.append(helper.make_tensor_value_info("picture", TensorProto.FLOAT, sides))


def forget_origin(model: ModelProto) -> None:
    """Exporters note source paths of the machine that wrote the file; a bundle carries none."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:], model.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    model.producer_name, model.producer_version = "ganymede import", ""
