"""Mends what belongs to training, not to a picture: dropout left on, BatchNorm of the batch, noise inside the graph."""

from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from models.errors import ImportRefusedError
from models.imports.graphs.file import constants_of, graphs_of, nodes_of, tensors_of
from models.imports.report import Report

RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")
MAX_NOISE = 1 << 26


def mend(model: ModelProto, batch: int, report: Report) -> None:
    """Change the graph in place until it computes the same picture from the same latent, and say what was changed.

    Raises ImportRefusedError for BatchNorm that never saw a picture and for noise whose shape cannot be known.
    """
    _switch_off_training(model, report)
    _fix_noise(model, batch, report)
    if widen(model):
        report.add("weights", "float16 computed in float32", "mended")


def _switch_off_training(model: ModelProto, report: Report) -> None:
    dropped = normed = 0
    constants = constants_of(model.graph)
    for node in nodes_of(model.graph):
        if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
            del node.input[2:]
            dropped += 1
        elif node.op_type == "BatchNormalization" and _in_training(node):
            _check_statistics(node, constants)
            kept = [attribute for attribute in node.attribute if attribute.name not in ("training_mode", "spatial")]
            del node.attribute[:], node.output[1:]
            node.attribute.extend(kept)
            normed += 1
    if dropped:
        report.add("dropout", f"{dropped} left on; switched off", "mended")
    if normed:
        report.add("BatchNorm", f"{normed} in training mode; now with the statistics in the file", "mended")


def _in_training(node: NodeProto) -> bool:
    return len(node.output) > 1 or any(one.name == "training_mode" and one.i for one in node.attribute)


def _check_statistics(node: NodeProto, constants: dict[str, TensorProto]) -> None:
    mean, variance = (constants.get(name) for name in node.input[3:5])
    if mean is None or variance is None:
        raise ImportRefusedError(
            f"BatchNorm {node.name!r} takes its statistics from the batch; export the generator after generator.eval()"
        )
    if not numpy_helper.to_array(mean).any() and (numpy_helper.to_array(variance) == 1).all():
        raise ImportRefusedError(
            f"BatchNorm {node.name!r} is in training mode and its statistics were never set (mean 0, variance 1): every "
            "picture would depend on its batch; train with statistics on and export after generator.eval()"
        )


def _fix_noise(model: ModelProto, batch: int, report: Report) -> None:
    """Noise drawn inside the graph becomes one fixed drawing, the same for every picture."""
    shapes: dict[str, list[int]] = {}
    fixed = 0
    for graph in graphs_of(model.graph):
        for node in list(graph.node):
            if node.op_type not in RANDOM:
                continue
            shapes = shapes or static_shapes(model, batch or 1)
            place = list(graph.node).index(node)
            for k, new in enumerate(_drawn_once(node, shapes, fixed)):
                graph.node.insert(place + k, new)
            graph.node.remove(node)
            fixed += 1
    if fixed:
        report.add("noise", f"{fixed} drawn anew at every call; one fixed drawing now", "mended")


def _drawn_once(node: NodeProto, shapes: dict[str, list[int]], seed: int) -> list[NodeProto]:
    """Nodes that give `node`'s output: a constant of one picture's shape, expanded to the batch where there is one."""
    settings = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    shape = settings.get("shape") or shapes.get(node.input[0] if node.input else node.output[0])
    if node.op_type in ("Bernoulli", "Multinomial") or not shape or any(side < 1 for side in shape):
        raise ImportRefusedError(
            f"the graph draws random numbers ({node.op_type}) whose place in the picture is not known"
        )
    if np.prod(shape, dtype=np.float64) > MAX_NOISE:
        raise ImportRefusedError(f"the graph draws {np.prod(shape, dtype=np.float64):,.0f} random numbers a picture")
    own = [1, *shape[1:]]
    drawn = numpy_helper.from_array(_draw(node.op_type, settings, own, seed), f"{node.output[0]}_drawn")
    constant = helper.make_node("Constant", [], [f"{node.output[0]}_fixed"], value=drawn)
    if not node.input:
        constant.output[0] = node.output[0]
        return [constant]
    like = helper.make_node("Shape", [node.input[0]], [f"{node.output[0]}_shape"])
    expand = helper.make_node("Expand", [constant.output[0], like.output[0]], [node.output[0]])
    return [constant, like, expand]


def _draw(kind: str, settings: dict[str, Any], shape: list[int], seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    state = np.random.RandomState(seed)
    if "Normal" in kind:
        values = state.normal(settings.get("mean", 0.0), settings.get("scale", 1.0), shape)
    else:
        values = state.uniform(settings.get("low", 0.0), settings.get("high", 1.0), shape)
    return values.astype(np.float32)


def static_shapes(model: ModelProto, batch: int) -> dict[str, list[int]]:
    """The shape of every value that can be inferred for `batch` pictures; 0 for a side that stays unknown."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for value in copy.graph.input:
        sides = value.type.tensor_type.shape.dim
        if sides and not sides[0].dim_value:
            sides[0].dim_value = batch
    for value in copy.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(copy, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        raise ImportRefusedError(f"the graph contradicts itself: {str(error).splitlines()[0][:200]}") from None
    values = (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)
    return {one.name: [side.dim_value for side in one.type.tensor_type.shape.dim] for one in values}


def widen(model: ModelProto) -> bool:
    """float16 weights, constants and casts become float32, in place; whether there were any.

    ONNX Runtime computes float16 on a CPU by casting around every operation; the result is the same or finer.
    """
    half, single = TensorProto.FLOAT16, TensorProto.FLOAT
    found = False
    for tensor in tensors_of(model.graph):
        if tensor.data_type == half:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
            found = True
    for node in nodes_of(model.graph):
        for attribute in node.attribute:
            if attribute.name in ("to", "dtype") and attribute.i == half:
                attribute.i, found = single, True
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type == half:
            value.type.tensor_type.elem_type, found = single, True
    return found
