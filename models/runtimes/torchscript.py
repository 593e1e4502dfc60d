"""Bundles on torch, for projection's gradients and wherever it wins: TorchScript, or without it the ONNX graphs."""

import io
from importlib.util import find_spec
from typing import Any

import numpy as np

from models.bundle import Bundle
from models.errors import RuntimeUnavailableError
from models.manifest import Files
from models.runtimes.base import Array, DiscriminatorOutput
from models.runtimes.graph_module import graph_module
from models.runtimes.script_file import check_script


def has_torch() -> bool:
    """Whether torch is installed; does not import it."""
    return find_spec("torch") is not None


def import_torch() -> Any:
    """The torch module. Raises RuntimeUnavailableError with the install hint when it is not there."""
    try:
        import torch
    except ImportError:
        raise RuntimeUnavailableError("torch is not installed; install ganymede[train]") from None
    return torch


class TorchScriptRuntime:
    """One bundle on TorchScript, `device` `cpu` or `cuda`."""

    def __init__(self, bundle: Bundle, device: str = "cpu", threads: int = 1, device_index: int = 0) -> None:
        self._torch = import_torch()
        if device == "cuda" and not self._torch.cuda.is_available():
            raise RuntimeUnavailableError("provider 'cuda' was asked for but torch sees no CUDA device")
        self._bundle = bundle
        self._device = f"cuda:{device_index}" if device == "cuda" else "cpu"
        self.provider = f"TorchScript-{device}"
        self._torch.set_num_threads(threads)
        self._modules: dict[Files, Any] = {}

    def run_level(self, level: int, previous: Array | None, noise: Array | None, label: Array | None) -> Array:
        """See `Runtime.run_level`."""
        module = self.module(self._bundle.manifest.levels[level].files)
        return self._call(module, [previous, noise, label])[0]

    def discriminate(self, images: Array, label: Array | None = None) -> DiscriminatorOutput:
        """See `Runtime.discriminate`."""
        discriminator = self._bundle.manifest.discriminator
        if discriminator is None:
            raise RuntimeUnavailableError(f"{self._bundle.name} has no discriminator")
        logits, features = self._call(self.module(discriminator.files), [images, label])
        return DiscriminatorOutput(logits, features)

    def module(self, files: Files) -> Any:
        """The module of a graph in eval mode, parameters frozen; for gradients with respect to inputs.

        Raises RuntimeUnavailableError when there is no TorchScript and the graph cannot be made one here, BundleError
        for TorchScript that reaches outside itself.
        """
        if files not in self._modules:
            self._modules[files] = self._load(files)
        return self._modules[files]

    def _load(self, files: Files) -> Any:
        if files.torchscript is None:
            return graph_module(self._bundle.path(files.onnx_file)).to(self._device)
        data = self._bundle.path(files.torchscript).read_bytes()
        check_script(io.BytesIO(data), files.torchscript)
        module = self._torch.jit.load(io.BytesIO(data), map_location=self._device).eval()
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        return module

    def close(self) -> None:
        """Drop every module."""
        self._modules.clear()

    def _call(self, module: Any, inputs: list[Array | None]) -> tuple[Array, ...]:
        tensors = [self._torch.from_numpy(np.ascontiguousarray(x)).to(self._device) for x in inputs if x is not None]
        with self._torch.inference_mode():
            out = module(*tensors)
        parts = out if isinstance(out, tuple) else (out,)
        return tuple(np.asarray(part.float().cpu().numpy(), np.float32) for part in parts)
