"""Bundles on OpenVINO, CPU only: float32, or bfloat16 where the processor multiplies it. An optional extra.

In bfloat16 a level that ends by adding a residual to its enlarged input keeps the enlargement in float32: rounding
the picture itself to 8 bits of mantissa would cost half a level of 255 before anything was computed. So do the turns of a
straightened latent space: rounded, they would move faces64's pictures by up to 43 levels of 255 where 14 are the network's.
"""

from functools import cache
from typing import Any, Literal

import numpy as np

from models.bundle import Bundle
from models.errors import RuntimeUnavailableError
from models.manifest import TURNED
from models.runtimes.base import Array, DiscriminatorOutput

Precision = Literal["f32", "bf16"]
KEPT_KERNELS = "128"
"""Compiled kernels kept, about ten a shape: without a bound, uploads of ever new sizes grow the process by 2 MB each."""


def import_openvino() -> Any:
    """The openvino module. Raises RuntimeUnavailableError with the install hint when it is not there."""
    try:
        import openvino
    except ImportError:
        raise RuntimeUnavailableError("OpenVINO is not installed; install ganymede[openvino]") from None
    return openvino


@cache
def _core() -> Any:
    return import_openvino().Core()


class OpenVinoRuntime:
    """One bundle on OpenVINO. Raises RuntimeUnavailableError where it, or the precision, cannot be had."""

    def __init__(
        self, bundle: Bundle, device: str = "cpu", threads: int = 1, device_index: int = 0, precision: Precision = "f32"
    ) -> None:
        if device != "cpu":
            raise RuntimeUnavailableError(
                "OpenVINO is used on the CPU only; GANYMEDE_RUNTIME=onnx serves other devices"
            )
        if precision == "bf16" and "BF16" not in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise RuntimeUnavailableError("this processor has no bfloat16 products")
        self._bundle = bundle
        self._precision = precision
        self._options = {
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # several processes would all pin themselves to the first cores
            "CPU_RUNTIME_CACHE_CAPACITY": KEPT_KERNELS,
        }
        self.provider = f"OpenVINO-{precision}"
        self._graphs: dict[str, tuple[Any, ...]] = {}

    def run_level(self, level: int, previous: Array | None, noise: Array | None, label: Array | None) -> Array:
        """See `Runtime.run_level`."""
        feed = {"previous": previous, "noise": noise, "label": label}
        file = self._bundle.manifest.levels[level].files.onnx_file
        if file not in self._graphs:
            self._graphs[file] = self._open(file, self._precision)
        turns, *parts = self._graphs[file]
        if turns is not None:
            feed["noise"] = _infer(turns, feed)[0]
        picture: Array
        picture, *others = (_infer(graph, feed)[0] for graph in parts)
        for part in others:
            picture += part
        return picture

    def discriminate(self, images: Array, label: Array | None = None) -> DiscriminatorOutput:
        """See `Runtime.discriminate`; always in float32."""
        discriminator = self._bundle.manifest.discriminator
        if discriminator is None:
            raise RuntimeUnavailableError(f"{self._bundle.name} has no discriminator")
        file = discriminator.files.onnx_file
        if file not in self._graphs:
            self._graphs[file] = self._open(file, "f32")
        _, graph = self._graphs[file]
        answer = _infer(graph, {"image": images, "label": label})
        return DiscriminatorOutput(answer["logits"], answer["features"])

    def close(self) -> None:
        """Drop every compiled graph."""
        self._graphs.clear()

    def _open(self, file: str, precision: Precision) -> tuple[Any, ...]:
        """A request for each compiled graph: of the turns, or None, and of those whose sum is the level."""
        model = _core().read_model(str(self._bundle.path(file)))
        turns = _turns_of(model) if precision == "bf16" else None
        residual = _addends(model) if precision == "bf16" else None
        parts = [(model, precision)] if residual is None else [(residual[0], precision), (residual[1], "f32")]
        front = None if turns is None else self._compile(turns, "f32").create_infer_request()
        return (front, *(self._compile(part, kind).create_infer_request() for part, kind in parts))

    def _compile(self, model: Any, precision: str) -> Any:
        return _core().compile_model(model, "CPU", {**self._options, "INFERENCE_PRECISION_HINT": precision})


def _infer(request: Any, feed: dict[str, Array | None]) -> Any:
    """Run with what the graph takes of `feed`; the arrays that come back belong to the caller."""
    wanted = {port.get_any_name() for port in request.model_inputs}
    inputs = {name: np.ascontiguousarray(x) for name, x in feed.items() if x is not None and name in wanted}
    return request.infer(inputs, share_inputs=True)


def _turns_of(model: Any) -> Any | None:
    """The graph of a straightened space's turns, cut off from `model`, which takes what they give; None without any."""
    edges = [
        node.output(0) for node in model.get_ops() if node.get_output_size() and TURNED in node.output(0).get_names()
    ]
    if not edges:
        return None
    behind = edges[0].get_target_inputs()  # before the turns get an end of their own there
    turns = _ending_at(model, edges[0])
    noise = import_openvino().op.Parameter(edges[0].get_element_type(), edges[0].get_partial_shape())
    for port in behind:
        port.replace_source_output(noise.output(0))
    for parameter in turns.get_parameters():
        model.remove_parameter(parameter)
    noise.output(0).set_names({"noise"})
    model.add_parameters([noise])
    return turns


def _addends(model: Any) -> tuple[Any, Any] | None:
    """The two graphs whose sum is the level's picture, the one with more convolutions first; None where it is no sum."""
    last = model.outputs[0].get_node().input(0).get_source_output().get_node()
    if last.get_type_name() != "Add":
        return None
    sides = [_ending_at(model, last.input(k).get_source_output()) for k in (0, 1)]
    if not all(part.get_parameters() for part in sides):  # a bias, not a residual
        return None
    first, second = sorted(sides, key=_convolutions, reverse=True)
    return first, second


def _ending_at(model: Any, output: Any) -> Any:
    """The part of a graph that computes `output`."""
    nodes, stack = {}, [output.get_node()]
    while stack:
        node = stack.pop()
        if node.get_friendly_name() not in nodes:
            nodes[node.get_friendly_name()] = node
            stack += [port.get_source_output().get_node() for port in node.inputs()]
    parameters = [p for p in model.get_parameters() if p.get_friendly_name() in nodes]
    return import_openvino().Model([output], parameters)


def _convolutions(model: Any) -> int:
    return sum(node.get_type_name() == "Convolution" for node in model.get_ops())
