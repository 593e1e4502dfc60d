"""Writes a bundle's graphs as TorchScript, for those who want it, and checks each against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.bundle import Bundle
from models.manifest import ExportCheck, Manifest
from models.runtimes import open_runtime
from models.runtimes.base import Array, Runtime
from models.runtimes.graph_module import graph_module
from models.runtimes.trial import level_batches
from training.errors import ExportError

TOLERANCE = 1e-4  # of the range -1 … 1, as on export
PICTURES = 64


def write_torchscript(bundle: Bundle, out: Path) -> list[ExportCheck]:
    """Writes `<stem>.ts` for every graph into `out`; returns how far each, reopened, is from the ONNX graph.

    Raises ExportError, and leaves no file of that graph, when one differs by more than 1e-4; RuntimeUnavailableError
    when a graph uses what cannot be made torch.
    """
    out.mkdir(parents=True, exist_ok=True)
    runtime = open_runtime(bundle)
    checks = [_level(bundle, runtime, level, out) for level in range(len(bundle.manifest.levels))]
    if bundle.manifest.discriminator is not None:
        checks.append(_discriminator_check(bundle, runtime, out))
    runtime.close()
    return checks


def pictures_to_discriminate(manifest: Manifest, count: int) -> Array:
    """Pictures of random pixels float32 [count, c, h, w] in -1..1, half of them smooth in one direction."""
    image = manifest.image
    shape = (count, image.channels, image.height, image.width)
    pictures = np.random.RandomState(20151119).uniform(-1, 1, shape).astype(np.float32)
    pictures[::2] = np.sort(pictures[::2], axis=3)
    return pictures


def _level(bundle: Bundle, runtime: Runtime, level: int, out: Path) -> ExportCheck:
    inputs = next(level_batches(bundle.manifest, runtime, level))
    wanted = runtime.run_level(level, *inputs)
    graph = bundle.manifest.levels[level].files.onnx_file
    file, answers = _traced(bundle, graph, [x for x in inputs if x is not None], out)
    return _checked(file, [(answers[0], wanted)])


def _discriminator_check(bundle: Bundle, runtime: Runtime, out: Path) -> ExportCheck:
    assert bundle.manifest.discriminator is not None
    pictures = pictures_to_discriminate(bundle.manifest, PICTURES)
    wanted = runtime.discriminate(pictures)
    file, answers = _traced(bundle, bundle.manifest.discriminator.files.onnx_file, [pictures], out)
    return _checked(file, [(answers[0], wanted.logits), (answers[1], wanted.features)])


def _traced(bundle: Bundle, graph: str, inputs: list[Array], out: Path) -> tuple[Path, tuple[Array, ...]]:
    """The file, and what it gives once it is opened again."""
    file = out / Path(graph).with_suffix(".ts").name
    tensors = [torch.from_numpy(np.ascontiguousarray(x)) for x in inputs]
    examples = tuple(x[:2] for x in tensors)
    torch.jit.trace(graph_module(bundle.path(graph)), examples, check_trace=False).save(str(file))  # type: ignore[no-untyped-call]
    with torch.no_grad():
        answers: Any = torch.jit.load(str(file))(*tensors)  # type: ignore[no-untyped-call]
    parts: tuple[Tensor, ...] = answers if isinstance(answers, tuple) else (answers,)
    return file, tuple(part.numpy() for part in parts)


def _checked(file: Path, pairs: list[tuple[Array, Array]]) -> ExportCheck:
    """Relative to the largest value where values are larger than 1."""
    difference = max(
        float(np.abs(given - wanted).max()) / max(1.0, float(np.abs(wanted).max())) for given, wanted in pairs
    )
    if not difference <= TOLERANCE:
        file.unlink()
        raise ExportError(f"not written: {file.name} differs from the ONNX graph by {difference:.2g}")
    return ExportCheck(file=file.name, max_abs_difference=difference)
