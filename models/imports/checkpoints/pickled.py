"""Reads the pickle of a PyTorch file without PyTorch: tensors become descriptions, everything else stands for nothing.

Nothing a pickle names is ever imported or called: the few names that matter are answered by functions of this file.
"""

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from models.imports.guards import is_safe

BFLOAT16 = "bfloat16"
KINDS = {
    "Float": "f4",
    "Double": "f8",
    "Half": "f2",
    "BFloat16": BFLOAT16,
    "Long": "i8",
    "Int": "i4",
    "Short": "i2",
    "Char": "i1",
    "Byte": "u1",
    "Bool": "?",
}
"""NumPy's name of what each of PyTorch's storages holds; NumPy has no bfloat16."""


@dataclass(frozen=True)
class Storage:
    """`count` numbers of one kind, kept in the file under a key."""

    key: str
    kind: str
    count: int

    @property
    def item_bytes(self) -> int:
        """Bytes of one number."""
        return 2 if self.kind == BFLOAT16 else np.dtype(self.kind).itemsize

    def values(self, data: bytes, order: str = "<") -> NDArray[Any]:
        """The numbers [count] that the bytes are; bfloat16 as float32. Raises ValueError when there are too few."""
        if len(data) < self.count * self.item_bytes:
            raise ValueError(f"the numbers {self.key} have {len(data)} bytes and need {self.count * self.item_bytes}")
        if self.kind != BFLOAT16:
            return np.frombuffer(data, np.dtype(order + self.kind), self.count)
        halves = np.frombuffer(data, np.dtype(order + "u2"), self.count)
        return (halves.astype(np.uint32) << 16).view(np.float32)


@dataclass(frozen=True)
class Strided:
    """A tensor: where in a storage it begins, its shape, and how many numbers apart its neighbours are."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """The tensor, given its storage's numbers. Raises ValueError for one that is larger than its storage."""
        count = int(np.prod(self.shape, dtype=np.float64))
        last = self.offset + sum((side - 1) * step for side, step in zip(self.shape, self.strides, strict=True))
        if min((self.offset, *self.shape, *self.strides)) < 0 or count > len(values) or (count and last >= len(values)):
            raise ValueError(f"a tensor {list(self.shape)} does not fit the {len(values)} numbers it is made of")
        steps = [step * values.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, steps, writeable=False)


class Nothing:
    """Stands for whatever is no tensor: takes every argument, call, state and item, and is dropped."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *_: Any) -> "Nothing":
        """Itself."""
        return self

    def __setstate__(self, _: Any) -> None:
        pass

    def __setitem__(self, _: Any, __: Any) -> None:
        pass

    append = extend = __call__


class Plain(dict[Any, Any]):
    """A dictionary that forgets how it was made, such as a defaultdict's factory."""

    def __init__(self, *_: Any) -> None:
        super().__init__()


def _tensor(storage: Any, offset: int, shape: Any, strides: Any, *_: Any) -> Any:
    if not isinstance(storage, Storage):
        return Nothing()
    return Strided(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _first(tensor: Any, *_: Any) -> Any:
    return tensor


def _of_type(rebuild: Any, _: Any, arguments: Any, *__: Any) -> Any:
    return rebuild(*arguments)


ANSWERS: dict[str, Any] = {
    "collections OrderedDict": OrderedDict,
    "collections defaultdict": Plain,
    "torch Size": tuple,
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": _first,
    "torch._utils _rebuild_parameter_with_state": _first,
    "torch._tensor _rebuild_from_type_v2": _of_type,
}
ANSWERS |= {f"{room} {name}Storage": kind for name, kind in KINDS.items() for room in ("torch", "torch.cuda")}


class Reader(pickle.Unpickler):
    """One pickle; `storages` are those it named. `strict`: names that no weights need are refused with UnpicklingError."""

    def __init__(self, stream: IO[bytes], *, strict: bool = True) -> None:
        super().__init__(stream, encoding="utf-8")
        self.strict = strict
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name."""
        full = f"{module} {name}"
        if self.strict and not is_safe(full):
            raise pickle.UnpicklingError(f"{module}.{name} would have to be run")
        return ANSWERS.get(full, Nothing)

    def persistent_load(self, pid: Any) -> Any:
        """The storage that `("storage", kind, key, place, count, …)` names."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], str):
            return Nothing()
        return self.storages.setdefault(str(pid[2]), Storage(str(pid[2]), pid[1], int(pid[4])))
