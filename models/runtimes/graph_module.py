"""A torch module made of an ONNX file and the weights it points to: for gradients, and to write TorchScript from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.errors import RuntimeUnavailableError
from models.runtimes.operators import operator


def graph_module(file: Path) -> Any:
    """The graph as a `torch.nn.Module` in evaluation mode, its tensors as buffers, so that nothing in it can be trained.

    Its forward takes the graph's inputs in order and gives its output, or a tuple of them. Raises
    RuntimeUnavailableError without torch and onnx (extra `train`) or when the graph uses what is not known here.
    """
    torch, onnx = _import()
    graph = onnx.load(str(file)).graph
    steps = [_step(onnx, node) for node in graph.node]
    values = {tensor.name: _value(torch, onnx, tensor) for tensor in graph.initializer}
    steps = _without_constants(torch, steps, values)
    inputs = [value.name for value in graph.input if value.name not in values]
    return _module_class(torch)(steps, values, inputs, [value.name for value in graph.output]).eval()


def _import() -> tuple[Any, Any]:
    try:
        import onnx
        import torch
    except ImportError as error:
        raise RuntimeUnavailableError(f"{error.name} is not installed; install ganymede[train]") from None
    return torch, onnx


Step = tuple[str, Any, Sequence[str], dict[str, Any]]
"""Name of what it gives, operator, names of what it takes, attributes."""


def _step(onnx: Any, node: Any) -> Step:
    if len([name for name in node.output if name]) != 1:
        raise RuntimeUnavailableError(f"the graph uses {node.op_type} with several outputs")
    attributes = {entry.name: _plain(onnx, entry) for entry in node.attribute}
    return node.output[0], operator(node.op_type), list(node.input), attributes


def _plain(onnx: Any, entry: Any) -> Any:
    value = onnx.helper.get_attribute_value(entry)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return value


def _value(torch: Any, onnx: Any, tensor: Any) -> Any:
    """Whole numbers in a row are shapes, axes and places: lists. Everything else is a tensor."""
    array = onnx.numpy_helper.to_array(tensor)
    return array.reshape(-1).tolist() if array.dtype.kind == "i" and array.ndim < 2 else torch.from_numpy(array.copy())


def _without_constants(torch: Any, steps: list[Step], values: dict[str, Any]) -> list[Step]:
    """Computes now what depends on weights alone (float16 made float32), and forgets what is then not needed."""
    rest = []
    for name, run, takes, attributes in steps:
        if takes and all(part in values for part in takes):
            values[name] = run(torch, [values[part] for part in takes], attributes)
        else:
            rest.append((name, run, takes, attributes))
    needed = {part for _, _, takes, _ in rest for part in takes}
    for name in set(values) - needed:
        del values[name]
    return rest


def _module_class(torch: Any) -> Any:
    class GraphModule(torch.nn.Module):  # type: ignore[misc]
        """Runs the steps in order; see `graph_module`."""

        def __init__(
            self, steps: list[Step], values: dict[str, Any], inputs: Sequence[str], outputs: Sequence[str]
        ) -> None:
            super().__init__()
            self._steps, self._inputs, self._outputs = steps, inputs, outputs
            self._shapes = {name: value for name, value in values.items() if isinstance(value, list)}
            self._places = {name: f"value_{k}" for k, name in enumerate(sorted(set(values) - set(self._shapes)))}
            for name, place in self._places.items():
                self.register_buffer(place, values[name])

        def forward(self, *given: Any) -> Any:
            known = {name: getattr(self, place) for name, place in self._places.items()} | self._shapes
            known |= dict(zip(self._inputs, given, strict=True))
            for name, run, takes, attributes in self._steps:
                known[name] = run(torch, [known[part] if part else None for part in takes], attributes)
            answers = tuple(known[name] for name in self._outputs)
            return answers[0] if len(answers) == 1 else answers

    return GraphModule
