"""Runs a graph that is no bundle yet, for looking at it: one session on the CPU, a sentence for everything it raises."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from models.errors import ImportRefusedError, RuntimeUnavailableError
from models.imports.graphs.value_range import last_operator

Feed = Mapping[str, NDArray[Any]]


class Computer(Protocol):
    """What computes a foreign generator while it is looked at."""

    outputs: tuple[str, ...]

    def run(self, feed: Feed, outputs: list[str] | None = None, /) -> list[NDArray[Any]]:
        """The outputs asked for, or all. Raises ImportRefusedError when it does not run."""

    def last_operator(self, output: str, /) -> str:
        """The operator that made the values of an output; empty where that is not known."""


class Session:
    """An opened graph. Raises ImportRefusedError when ONNX Runtime does not take it."""

    def __init__(self, model: ModelProto) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise RuntimeUnavailableError(
                "no ONNX Runtime is installed; install ganymede[cpu] or ganymede[gpu]"
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ImportRefusedError(f"ONNX Runtime does not open the graph: {short(error)}") from None
        self.outputs = tuple(output.name for output in self._session.get_outputs())
        self._model = model

    def run(self, feed: Feed, outputs: list[str] | None = None) -> list[NDArray[Any]]:
        """The outputs asked for, or all. Raises ImportRefusedError when the graph does not run."""
        try:
            return [np.asarray(value) for value in self._session.run(outputs, dict(feed))]
        except Exception as error:
            raise ImportRefusedError(f"the graph does not run: {short(error)}") from None

    def last_operator(self, output: str) -> str:
        """The operator that made the values of an output; empty for an input."""
        return last_operator(self._model, output)


def short(error: Exception) -> str:
    """The first line of a library's error, without where its source lies."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[0].rsplit(" : ", 1)[-1][:300]
