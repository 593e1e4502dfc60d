"""Bundles on ONNX Runtime, on the CPU or a CUDA device. Sessions open on first use; torch is not needed."""

import threading
from typing import Any

import numpy as np

from models.bundle import Bundle
from models.errors import RuntimeUnavailableError
from models.manifest import Files
from models.runtimes.base import Array, DiscriminatorOutput, Runtime
from models.runtimes.data_parallel import DataParallelRuntime

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def available_providers() -> list[str]:
    """Provider names of the installed ONNX Runtime; empty when none is installed."""
    try:
        import onnxruntime
    except ImportError:
        return []
    return list(onnxruntime.get_available_providers())


def open_onnx(bundle: Bundle, device: str = "cpu", threads: int = 1, device_index: int = 0) -> Runtime:
    """On several threads of the CPU each computes pictures of its own. Raises RuntimeUnavailableError as OnnxRuntime does."""
    whole = OnnxRuntime(bundle, device, threads, device_index)
    if device != "cpu" or threads == 1:
        return whole
    return DataParallelRuntime(whole, [OnnxRuntime(bundle)] * threads)


class OnnxRuntime:
    """One bundle on ONNX Runtime. `device` is `cpu` or `cuda`; raises RuntimeUnavailableError when it cannot be had.

    Calls are thread-safe, as those of ONNX Runtime's sessions are.
    """

    def __init__(self, bundle: Bundle, device: str = "cpu", threads: int = 1, device_index: int = 0) -> None:
        self._bundle = bundle
        self._threads = threads
        self._device_index = device_index
        self.provider = PROVIDERS[device]
        if self.provider not in available_providers():
            raise RuntimeUnavailableError(_absent(device))
        self._sessions: dict[str, Any] = {}
        self._opening = threading.Lock()

    def run_level(self, level: int, previous: Array | None, noise: Array | None, label: Array | None) -> Array:
        """See `Runtime.run_level`."""
        feed = {"previous": previous, "noise": noise, "label": label}
        session = self._session(self._bundle.manifest.levels[level].files)
        return np.asarray(session.run(None, {k: v for k, v in feed.items() if v is not None})[0], np.float32)

    def discriminate(self, images: Array, label: Array | None = None) -> DiscriminatorOutput:
        """See `Runtime.discriminate`."""
        discriminator = self._bundle.manifest.discriminator
        if discriminator is None:
            raise RuntimeUnavailableError(f"{self._bundle.name} has no discriminator")
        feed = {"image": images} if label is None else {"image": images, "label": label}
        logits, features = self._session(discriminator.files).run(["logits", "features"], feed)
        return DiscriminatorOutput(np.asarray(logits, np.float32), np.asarray(features, np.float32))

    def close(self) -> None:
        """Drop every session."""
        self._sessions.clear()

    def _session(self, files: Files) -> Any:
        with self._opening:
            session = self._sessions.get(files.onnx_file)
            if session is None:
                session = self._sessions[files.onnx_file] = self._open(files.onnx_file)
            return session

    def _open(self, file: str) -> Any:
        import onnxruntime

        session = onnxruntime.InferenceSession(
            str(self._bundle.path(file)), _options(onnxruntime, self._threads), providers=[self._provider_entry()]
        )
        if session.get_providers()[0] != self.provider:
            raise RuntimeUnavailableError(f"{self.provider} was asked for but {session.get_providers()[0]} is in use")
        return session

    def _provider_entry(self) -> Any:
        if self.provider != PROVIDERS["cuda"]:
            return self.provider
        # TF32 would break the 1/255 bound between providers; the heuristic search keeps one algorithm a shape.
        return (self.provider, {"device_id": self._device_index, "use_tf32": 0, "cudnn_conv_algo_search": "HEURISTIC"})


def _options(onnxruntime: Any, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A spinning pool steals the core that encodes and answers: 10 to 40 % of throughput on two cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options


def _absent(device: str) -> str:
    have = available_providers()
    if not have:
        return "no ONNX Runtime is installed; install ganymede[cpu] or ganymede[gpu]"
    return f"provider {device!r} was asked for but this ONNX Runtime only has {', '.join(have)}; install ganymede[gpu]"
