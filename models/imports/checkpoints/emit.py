"""Writes a list of layers as an ONNX graph: `z` [batch, latent] and, with an embedding, `label` [batch, classes]."""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from models.imports.checkpoints.layers import (
    Activation,
    Array,
    BatchNorm,
    Conv,
    ConvTranspose,
    Layer,
    Linear,
    Network,
    Prelu,
    Reshape,
    Upsample,
)

OPSET = 17
OPERATORS = {"relu": "Relu", "leaky": "LeakyRelu", "tanh": "Tanh", "sigmoid": "Sigmoid", "elu": "Elu", "selu": "Selu"}


class Writer:
    """Nodes and weights so far; `last` is the name of the newest value."""

    def __init__(self, first: str) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.last = first

    def node(self, kind: str, *weights: str, **settings: Any) -> None:
        """Apply an operator to the newest value."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.last, *weights], [name], **settings))
        self.last = name

    def weight(self, values: Array | np.ndarray[Any, Any]) -> str:
        """Store an array; its name."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


def emit(network: Network) -> ModelProto:
    """The graph; its output `x` is [batch, c, h, w], or [batch, numbers] for a network of linear layers."""
    writer = Writer("z")
    inputs = [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", network.latent])]
    if network.embedding is not None:
        inputs.append(
            helper.make_tensor_value_info("label", TensorProto.FLOAT, ["batch", len(network.embedding.table)])
        )
        _embed(writer, network)
    for layer in network.layers:
        EMITTERS[type(layer)](writer, layer)
    writer.nodes[-1].output[0] = "x"
    output = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    graph = helper.make_graph(writer.nodes, "generator", inputs, [output], writer.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def _embed(writer: Writer, network: Network) -> None:
    assert network.embedding is not None
    table = writer.weight(network.embedding.table)
    writer.nodes.append(helper.make_node("MatMul", ["label", table], ["embedded"]))
    both = ["z", "embedded"] if network.embedding.join == "after" else ["embedded", "z"]
    if network.embedding.join == "multiplied":
        writer.nodes.append(helper.make_node("Mul", both, ["joined"]))
    else:
        writer.nodes.append(helper.make_node("Concat", both, ["joined"], axis=1))
    writer.last = "joined"


def _linear(writer: Writer, layer: Linear) -> None:
    bias = [] if layer.bias is None else [writer.weight(layer.bias)]
    writer.node("Gemm", writer.weight(layer.weight), *bias, transB=1)


def _conv(writer: Writer, layer: Conv) -> None:
    bias = [] if layer.bias is None else [writer.weight(layer.bias)]
    writer.node(
        "Conv", writer.weight(layer.weight), *bias, pads=[layer.padding] * 4, kernel_shape=layer.weight.shape[2:]
    )


def _conv_transpose(writer: Writer, layer: ConvTranspose) -> None:
    bias = [] if layer.bias is None else [writer.weight(layer.bias)]
    writer.node(
        "ConvTranspose",
        writer.weight(layer.weight),
        *bias,
        strides=[layer.stride] * 2,
        pads=[layer.padding] * 4,
        output_padding=[layer.extra] * 2,
        kernel_shape=layer.weight.shape[2:],
    )


def _batch_norm(writer: Writer, layer: BatchNorm) -> None:
    parts = [writer.weight(part) for part in (layer.weight, layer.bias, layer.mean, layer.variance)]
    writer.node("BatchNormalization", *parts, epsilon=layer.epsilon)


def _prelu(writer: Writer, layer: Prelu) -> None:
    writer.node("PRelu", writer.weight(layer.slope if layer.slope.size == 1 else layer.slope.reshape(-1, 1, 1)))


def _activation(writer: Writer, layer: Activation) -> None:
    if layer.kind in OPERATORS:
        writer.node(OPERATORS[layer.kind], **({"alpha": layer.slope} if layer.kind == "leaky" else {}))
        return
    before = writer.last
    if layer.kind == "silu":
        writer.node("Sigmoid")
    else:  # gelu: x * (erf(x / sqrt 2) + 1) / 2
        writer.node("Mul", writer.weight(np.asarray(0.5**0.5, np.float32)))
        writer.node("Erf")
        writer.node("Add", writer.weight(np.asarray(1, np.float32)))
        writer.node("Mul", writer.weight(np.asarray(0.5, np.float32)))
    writer.node("Mul", before)


def _upsample(writer: Writer, layer: Upsample) -> None:
    scales = writer.weight(np.asarray([1, 1, layer.factor, layer.factor], np.float32))
    writer.node("Resize", "", scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def _reshape(writer: Writer, layer: Reshape) -> None:
    writer.node("Reshape", writer.weight(np.asarray([-1, layer.channels, layer.height, layer.width], np.int64)))


EMITTERS: dict[type, Callable[[Writer, Any], None]] = {
    Linear: _linear,
    Conv: _conv,
    ConvTranspose: _conv_transpose,
    BatchNorm: _batch_norm,
    Prelu: _prelu,
    Activation: _activation,
    Upsample: _upsample,
    Reshape: _reshape,
}
assert set(EMITTERS) == set(Layer.__args__)
