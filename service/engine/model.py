"""A bundle that is being served: verified, opened where an engine is, its pictures proved independent of their batch."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from models.bundle import Bundle
from models.manifest import Manifest
from models.runtimes import RuntimeKind, open_runtime
from models.runtimes.auto import open_auto
from models.runtimes.base import Array, Runtime
from models.runtimes.invariance import FREE
from models.runtimes.memory import Memory
from models.runtimes.onnx_runtime import PROVIDERS
from models.runtimes.proof import Proof, proof_of


@dataclass(eq=False)
class Model:
    """One served bundle. `runtime` is None in the api role. A value a level: `buckets` holds FREE or a padded batch size,
    `batches` the pictures computed at once."""

    bundle: Bundle
    provider: str = "none"
    runtime: Runtime | None = None
    buckets: tuple[int, ...] = field(default=())
    batches: tuple[int, ...] = field(default=())

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of itself."""
        return self.bundle.manifest

    @cached_property
    def reference(self) -> str:
        """`name@digest`."""
        return self.bundle.reference

    @cached_property
    def label_rows(self) -> Array | None:
        """One-hot rows [k, k] of the labels; None for a bundle without."""
        return None if self.manifest.labels is None else np.eye(len(self.manifest.labels), dtype=np.float32)

    @property
    def identity(self) -> dict[str, str]:
        """What a recipe says of the model: its reference, and who computed it unless that was the reference provider."""
        plain = self.provider in (PROVIDERS["cpu"], "none")
        return {"model": self.reference} if plain else {"model": self.reference, "provider": self.provider}

    def label_index(self, label: str | int | None) -> int | None:
        """Index of a label given by name or number; None stays None. Raises KeyError when the bundle has no such label."""
        names = self.manifest.labels
        if label is None:
            return None
        if names is None:
            raise KeyError(label)
        if isinstance(label, int):
            if not 0 <= label < len(names):
                raise KeyError(label)
            return label
        if label in names:
            return names.index(label)
        if label.isdigit() and int(label) < len(names):
            return int(label)
        raise KeyError(label)

    def label_name(self, index: int | None) -> str | None:
        """The name of a label index."""
        return None if index is None or self.manifest.labels is None else self.manifest.labels[index]


def open_model(
    bundle: Bundle,
    kind: RuntimeKind | Literal["auto"],
    device: str,
    threads: int,
    max_batch: int,
    memory: Memory | None = None,
) -> Model:
    """Open the graphs and prove them. Raises ModelsError or the runtime's own error for a graph that does not run.

    `memory` keeps what is measured. `auto` needs one; on a GPU there is nothing to choose from and it is `onnx`.
    """
    if kind == "auto" and device == "cpu" and memory is not None and not bundle.manifest.scripted:
        runtime = open_auto(bundle, threads, max_batch, memory)
    else:
        runtime = open_runtime(bundle, "onnx" if kind == "auto" else kind, device, threads)
    if device == "cuda":  # kernels are chosen by batch size there, so every call is padded to one of a few sizes
        padded = tuple(max_batch for _ in bundle.manifest.levels)
        proof = Proof(padded, padded)
    else:
        proof = proof_of(runtime, bundle, threads, max_batch, memory)
    return Model(bundle, runtime.provider, runtime, proof.buckets, proof.batches)


__all__ = ["FREE", "Model", "open_model"]
