"""What `auto` may choose from. The reference is tried by nobody: everything else is compared with it.

What was measured not to win anywhere, or to leave the bound, is not here; docs/experiments.md names it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from models.bundle import Bundle
from models.runtimes.base import Runtime
from models.runtimes.onnx_runtime import open_onnx
from models.runtimes.openvino_runtime import OpenVinoRuntime

Opener = Callable[[Bundle, int], Runtime]


@dataclass(frozen=True)
class Candidate:
    """A way to compute a level. `open(bundle, threads)` may raise anything; whoever raises is left out."""

    name: str
    open: Opener


REFERENCE = Candidate("onnx", lambda bundle, threads: open_onnx(bundle, "cpu", threads))
CANDIDATES: tuple[Candidate, ...] = (
    Candidate("openvino-bf16", lambda bundle, threads: OpenVinoRuntime(bundle, "cpu", threads, precision="bf16")),
    Candidate("openvino-f32", lambda bundle, threads: OpenVinoRuntime(bundle, "cpu", threads, precision="f32")),
)
