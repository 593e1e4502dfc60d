"""Proof that an imported bundle gives the pictures of the file it came from, alone and in any company."""

import numpy as np

from models.bundle import Bundle
from models.counting import counted
from models.errors import ImportRefusedError, ModelsError
from models.imports.report import Report
from models.imports.session import short
from models.manifest import ExportCheck
from models.mathematics.latents import Vector
from models.runtimes import RuntimeKind, open_runtime
from models.runtimes.base import Array, Runtime

ONE_STEP = 1 / 127.5
"""One step of 255 in pictures of -1..1."""
ALONE = 8


def prove(
    bundle: Bundle, kind: RuntimeKind, vectors: Vector, labels: Array | None, expected: Array, report: Report
) -> tuple[ExportCheck, Array]:
    """Compare the bundle with the original's pictures `expected` [n, c, h, w] in -1..1. Returns the check and the pictures.

    Raises ImportRefusedError when one differs by more than one step of 255, or depends on its company.
    """
    runtime = open_runtime(bundle, kind)
    try:
        together = _run(runtime, vectors, labels)
        _check_company(runtime, vectors, labels, together)
    except ModelsError:
        raise
    except Exception as error:  # whatever the runtime's library raises for a graph that does not run
        raise ImportRefusedError(f"the graph does not run for every number of pictures: {short(error)}") from None
    finally:
        runtime.close()
    difference = _difference(together, expected)
    if not difference <= ONE_STEP:
        raise ImportRefusedError(
            f"the bundle's pictures differ from the file's by {difference / ONE_STEP:.1f} steps of 255; it is not written"
        )
    report.add("alone and in company", "the same picture", "measured")
    report.add(
        "parity with the file", f"{difference / ONE_STEP:.2g} steps of 255 over {len(expected)} latents", "measured"
    )
    files = bundle.manifest.levels[0].files
    file = files.onnx if kind == "onnx" else files.torchscript
    return ExportCheck(file=str(file), max_abs_difference=difference), together


def _run(runtime: Runtime, vectors: Vector, labels: Array | None) -> Array:
    steps = [slice(k, k + 16) for k in range(0, len(vectors), 16)]
    made = [
        runtime.run_level(0, None, vectors[s], None if labels is None else labels[s])
        for s in counted(steps, "batches of 16 of the bundle's pictures", len(steps))
    ]
    return np.concatenate(made)


def _check_company(runtime: Runtime, vectors: Vector, labels: Array | None, together: Array) -> None:
    count = min(ALONE, len(vectors))
    for k in counted(range(count), "pictures compared alone and in company", count):
        row = slice(k, k + 1)
        alone = runtime.run_level(0, None, vectors[row], None if labels is None else labels[row])
        difference = _difference(alone, together[row])
        if not difference <= ONE_STEP:
            raise ImportRefusedError(
                f"a picture depends on its company (by {difference / ONE_STEP:.0f} steps of 255): the graph takes statistics "
                "of the batch, as BatchNorm in training mode and minibatch layers do; export it after generator.eval()"
            )


def _difference(given: Array, wanted: Array) -> float:
    if given.shape != wanted.shape:
        return float("inf")
    return float(np.abs(np.clip(given, -1, 1).astype(np.float64) - np.clip(wanted, -1, 1)).max())
