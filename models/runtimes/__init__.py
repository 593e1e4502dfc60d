"""One runtime per library, behind one protocol; `models.runtimes.auto` chooses among them.

The only room that may import onnxruntime, openvino or torch outside training.
May import: models.mathematics, models.bundle, models.manifest, models.errors.
"""

from typing import Literal

from models.bundle import Bundle
from models.errors import RuntimeUnavailableError
from models.runtimes.base import Runtime
from models.runtimes.fake import FakeRuntime
from models.runtimes.onnx_runtime import open_onnx
from models.runtimes.openvino_runtime import OpenVinoRuntime
from models.runtimes.torchscript import TorchScriptRuntime, has_torch

RuntimeKind = Literal["onnx", "openvino", "torchscript", "fake"]
RUNTIMES = {
    "onnx": open_onnx,
    "openvino": OpenVinoRuntime,
    "torchscript": TorchScriptRuntime,
    "fake": FakeRuntime,
}


def open_runtime(
    bundle: Bundle, kind: RuntimeKind = "onnx", device: str = "cpu", threads: int = 1, device_index: int = 0
) -> Runtime:
    """Open a bundle on `device` (`cpu` | `cuda`); one of TorchScript alone on PyTorch, whatever `kind` says.

    Raises RuntimeUnavailableError when that cannot be had here.
    """
    if bundle.manifest.scripted and kind != "fake":
        kind = "torchscript"
        if not has_torch():
            raise RuntimeUnavailableError(
                f"{bundle.name} is TorchScript alone, which only PyTorch computes; pip install 'ganymede[train]'"
            )
    return RUNTIMES[kind](bundle, device, threads, device_index)
