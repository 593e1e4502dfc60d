"""A bundle that is being served: verified, opened where an engine is, its pictures proved independent of their batch."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from models.bundle import Bundle
from models.manifest import Manifest
from models.runtimes import RuntimeKind, open_runtime
from models.runtimes.auto import open_auto
from models.runtimes.base import Array, Runtime
from models.runtimes.difference import NONE, Difference
from models.runtimes.memory import Memory, machine
from models.runtimes.onnx_runtime import PROVIDERS
from models.runtimes.proof import Proof, fast_proof_of, proof_of
from models.runtimes.trial import FAST

log = logging.getLogger("ganymede.model")
Precision = Literal["exact", "fast"]


@dataclass(eq=False)
class Model:
    """One served bundle. `runtime` is None in the api role. A value a level: `buckets` holds FREE or a padded batch size,
    `batches` the pictures computed at once.

    `open_fast` opens the same bundle on the fastest runtime here, or gives None where the exact one is; it is called at
    the first wish for it, and what it opened lives as long as this. `difference` of a fast one: to the exact pictures.
    """

    bundle: Bundle
    provider: str = "none"
    runtime: Runtime | None = None
    buckets: tuple[int, ...] = field(default=())
    batches: tuple[int, ...] = field(default=())
    precision: Precision = "exact"
    difference: Difference = NONE
    open_fast: "Callable[[Model], Model | None] | None" = None
    fast: "Model | None" = field(default=None, init=False)
    _opening: "asyncio.Future[Model] | None" = field(default=None, init=False)

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
    def identity(self) -> dict[str, Any]:
        """What a recipe says of the model: its reference, and who computed it unless that was the reference provider.

        A fast picture says that it is one, how far it may be from the exact one, and on what kind of machine it was made.
        """
        if self.precision == "fast":
            difference = {"largest": self.difference.largest, "mean": self.difference.mean}
            computed = {"provider": self.provider, "machine": machine(), "difference": difference}
            return {"model": self.reference, "precision": "fast", **computed}
        plain = self.provider in (PROVIDERS["cpu"], "none")
        return {"model": self.reference} if plain else {"model": self.reference, "provider": self.provider}

    async def at(self, precision: Precision) -> "Model":
        """Who computes this bundle at a precision. The first wish for `fast` opens, and perhaps measures, in a thread.

        A process without an engine leaves it to the worker.
        """
        if precision == "exact" or self.runtime is None:
            return self
        if self.fast is None:
            if self._opening is None:
                self._opening = asyncio.ensure_future(asyncio.to_thread(self._opened_fast))
            self.fast = await asyncio.shield(self._opening)  # whoever leaves does not take it from the others
        return self.fast

    def open_at(self, precision: Precision) -> "Model | None":
        """The same, of what is open already."""
        return self if precision == "exact" else self.fast

    def _opened_fast(self) -> "Model":
        same = replace(self, precision="fast", difference=NONE)
        try:
            return (self.open_fast and self.open_fast(self)) or same
        except Exception as error:  # whatever a library raises, the exact runtime can answer
            log.warning("%s: the exact runtime answers for fast, too: %s", self.bundle.name, error)
            return same

    def label_index(self, label: str | int) -> int:
        """Index of a label given by name or number. Raises KeyError when the bundle has no such label."""
        names = self.manifest.labels or ()
        if label in names:
            return names.index(str(label))
        if (isinstance(label, int) or label.isdecimal()) and 0 <= int(label) < len(names):
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
    memory: Memory,
) -> Model:
    """Open the graphs and prove them. Raises ModelsError or the runtime's own error for a graph that does not run.

    `memory` keeps what is measured. On a GPU there is nothing to choose from, and `auto` is `onnx`.
    """
    chosen_here = kind in ("onnx", "auto") and device == "cpu" and not bundle.manifest.scripted

    def exact() -> Runtime:
        if kind == "auto" and chosen_here:
            return open_auto(bundle, threads, max_batch, memory)
        return open_runtime(bundle, "onnx" if kind == "auto" else kind, device, threads)

    def fast(model: Model) -> Model | None:
        return _open_fast(model, exact, threads, max_batch, memory)

    runtime = exact()
    if device == "cuda":  # kernels are chosen by batch size there, so every call is padded to one of a few sizes
        padded = tuple(max_batch for _ in bundle.manifest.levels)
        proof = Proof(padded, padded)
    else:
        proof = proof_of(runtime, bundle, threads, max_batch, memory)
    opener = fast if chosen_here else None
    return Model(bundle, runtime.provider, runtime, proof.buckets, proof.batches, open_fast=opener)


def _open_fast(
    model: Model, exact: Callable[[], Runtime], threads: int, max_batch: int, memory: Memory
) -> Model | None:
    """The fastest runtime measured here, proved independent of its batch like any; None where no other one is faster."""
    bundle = model.bundle
    runtime = open_auto(bundle, threads, max_batch, memory, tolerance=FAST)
    if runtime.provider == PROVIDERS["cpu"]:
        return None
    beside = exact()  # the one in service has a thread of its own
    proof = fast_proof_of(runtime, beside, bundle, threads, max_batch, memory)
    beside.close()
    proved = {"buckets": proof.buckets, "batches": proof.batches, "difference": proof.difference or NONE}
    log.info("%s: %s for precision=fast, %s", bundle.name, runtime.provider, proof.difference)
    return Model(bundle, runtime.provider, runtime, precision="fast", **proved)  # type: ignore[arg-type]
