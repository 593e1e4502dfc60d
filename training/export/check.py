"""Reopens every graph of a bundle in every format and measures how far it is from the network it was made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.bundle import Bundle
from models.counting import counted
from models.manifest import ExportCheck, Files
from models.runtimes import RuntimeKind, open_runtime
from models.runtimes.base import Runtime
from training.export.graphs import Graph

COUNT = 16  # pictures compared, as one batch and alone: a graph that looks at its neighbours fails here
FORMATS: tuple[RuntimeKind, ...] = ("onnx", "torchscript")

Arrays = dict[str, NDArray[np.float32]]


def compare(bundle: Bundle, levels: Sequence[Graph], discriminator: Graph | None) -> list[ExportCheck]:
    """One check a file: the largest absolute difference over 16 fixed inputs, in a batch and alone."""
    checks: list[ExportCheck] = []
    for kind in FORMATS:
        runtime = open_runtime(bundle, kind)
        for index, graph in enumerate(levels):
            difference = _level_difference(runtime, index, graph)
            checks.append(_check(bundle.manifest.levels[index].files, kind, difference))
        if discriminator is not None and bundle.manifest.discriminator is not None:
            checks.append(
                _check(bundle.manifest.discriminator.files, kind, _discriminator_difference(runtime, discriminator))
            )
        runtime.close()
    return checks


def _check(files: Files, kind: RuntimeKind, difference: float) -> ExportCheck:
    file = files.onnx_file if kind == "onnx" else files.torchscript
    assert file is not None
    return ExportCheck(file=file, max_abs_difference=difference)


def _level_difference(runtime: Runtime, index: int, graph: Graph) -> float:
    inputs = _inputs(graph)
    expected = _eager(graph, inputs)[0]
    feed = (inputs.get("previous"), inputs["noise"], inputs.get("label"))
    together = runtime.run_level(index, *feed)
    alone = [runtime.run_level(index, *(None if x is None else x[k : k + 1] for x in feed)) for k in _counted(graph)]
    return max(_distance(together, expected), _distance(np.concatenate(alone), expected))


def _discriminator_difference(runtime: Runtime, graph: Graph) -> float:
    """Relative to the largest expected magnitude: logits and features have no fixed range as pictures have."""
    inputs = _inputs(graph)
    logits, features = _eager(graph, inputs)
    together = runtime.discriminate(inputs["image"])
    alone = [runtime.discriminate(inputs["image"][k : k + 1]) for k in _counted(graph)]
    answers = [
        (together.logits, logits),
        (together.features, features),
        (np.concatenate([one.logits for one in alone]), logits),
        (np.concatenate([one.features for one in alone]), features),
    ]
    return max(_distance(given, wanted) / max(1.0, float(np.abs(wanted).max())) for given, wanted in answers)


def _counted(graph: Graph) -> Iterator[int]:
    return counted(range(COUNT), f"pictures compared of {graph.stem}", COUNT)


def _inputs(graph: Graph) -> Arrays:
    """COUNT fixed inputs of the graph's shapes; one-hot labels in turn, pictures in -1 … 1, normal noise."""
    random = np.random.RandomState(20151119)
    arrays: Arrays = {}
    for name, example in graph.inputs.items():
        shape = (COUNT, *example.shape[1:])
        if name == "label":
            arrays[name] = np.eye(shape[1], dtype=np.float32)[np.arange(COUNT) % shape[1]]
        elif name == "noise":
            arrays[name] = random.standard_normal(shape).astype(np.float32)
        else:
            arrays[name] = random.uniform(-1, 1, shape).astype(np.float32)
    return arrays


def _eager(graph: Graph, inputs: Arrays) -> list[NDArray[np.float32]]:
    with torch.no_grad():
        out: Tensor | tuple[Tensor, ...] = graph.module(*(torch.from_numpy(x) for x in inputs.values()))
    parts = out if isinstance(out, tuple) else (out,)
    return [part.numpy() for part in parts]


def _distance(given: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    if given.shape != wanted.shape:
        return float("inf")
    return float(np.abs(given.astype(np.float64) - wanted).max())
