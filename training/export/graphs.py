"""Writes one module as ONNX (dynamic batch, weights inside) and TorchScript, with the input names a bundle uses."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from models.manifest import Files
from training.algorithms.base import Level

OPSET = 20


@dataclass(frozen=True)
class Graph:
    """A module to write: its inputs in order with examples of batch 2, its outputs' names, the file stem."""

    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    stem: str
    any_size: bool = False  # rows and columns are dynamic too


class DiscriminatorGraph(nn.Module):
    """A discriminator whose logits are always [N, 1 or K]."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Image [N, C, H, W] -> logits [N, 1 or K], features [N, F]."""
        logits, features = self.module(image)
        return logits.reshape(logits.shape[0], -1), features


def level_graph(level: Level, index: int, labels: int, previous_side: int = 0) -> Graph:
    """The graph of one level; `previous_side` is the side in pixels of the picture it takes, if it takes one."""
    inputs = level_inputs(level, labels, previous_side, count=2, generator=torch.Generator().manual_seed(index))
    return Graph(level.module, inputs, ("picture",), f"level-{index}", any_size=level.factor is not None)


def level_inputs(
    level: Level, labels: int, previous_side: int, count: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Random inputs of the right shapes: previous in [-1, 1], normal noise, labels in turn."""
    inputs: dict[str, Tensor] = {}
    if level.takes_previous:
        shape = (count, level.channels, previous_side, previous_side)
        inputs["previous"] = torch.rand(*shape, generator=generator) * 2 - 1
    inputs["noise"] = torch.randn(count, *level.noise_shape, generator=generator)
    if level.takes_label:
        inputs["label"] = torch.nn.functional.one_hot(torch.arange(count) % labels, labels).float()
    return inputs


def write_graph(graph: Graph, folder: Path) -> Files:
    """Writes `<stem>.onnx` and `<stem>.ts`; returns their names."""
    examples = tuple(graph.inputs.values())
    with _quiet():
        torch.onnx.export(
            graph.module,
            examples,
            str(folder / f"{graph.stem}.onnx"),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=_dynamic_shapes(graph),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        forget_sources(folder / f"{graph.stem}.onnx")
        torch.jit.trace(graph.module, examples).save(str(folder / f"{graph.stem}.ts"))  # type: ignore[no-untyped-call]
    return Files(onnx=f"{graph.stem}.onnx", torchscript=f"{graph.stem}.ts")


def forget_sources(file: Path) -> None:
    """Drop what the exporter notes of the source code: a bundle must not carry paths of the machine that made it."""
    model = onnx.load(file)
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    onnx.save(model, file)


def _dynamic_shapes(graph: Graph) -> tuple[dict[int, object], ...]:
    batch = torch.export.Dim("batch")
    if not graph.any_size:
        return tuple({0: batch} for _ in graph.inputs)
    free = torch.export.Dim.DYNAMIC
    return tuple({0: batch, 2: free, 3: free} if x.dim() == 4 else {0: batch} for x in graph.inputs.values())


@contextmanager
def _quiet() -> Iterator[None]:
    """Both exporters talk about their own deprecations; what matters is the comparison afterwards."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
