"""Writes safetensors files whose large tensors begin at multiples of 64 bytes, and says where each tensor lies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64  # bytes: a cache line, and what vector instructions ask for
NAMES = {"float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "bool": "BOOL", "uint8": "U8"}

Tensors = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Place:
    """Where a tensor lies in its file, in bytes."""

    offset: int
    length: int


def write_tensors(file: Path, tensors: Tensors) -> dict[str, Place]:
    """Writes `file`; the same tensors give the same bytes. Raises KeyError for a type that safetensors does not know.

    The format allows no holes, so tensors that fill whole lines of 64 bytes come first, the others after them, those of
    the widest elements first: each is at least aligned to its own elements.
    """
    names = sorted(tensors, key=lambda name: _order(name, tensors[name]))
    lengths = [tensors[name].nbytes for name in names]
    starts = np.cumsum([0, *lengths]).tolist()
    header = {"__metadata__": {"format": "pt"}} | {
        name: _entry(tensors[name], start, start + length)
        for name, start, length in zip(names, starts, lengths, strict=False)
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            stream.write(np.ascontiguousarray(tensors[name]).tobytes())
    file.chmod(0o644)  # it may take the place of one that the library wrote, for the owner alone
    return {
        name: Place(8 + len(text) + start, length) for name, start, length in zip(names, starts, lengths, strict=False)
    }


def _order(name: str, tensor: NDArray[np.generic]) -> tuple[bool, int, str]:
    return tensor.nbytes % ALIGNMENT != 0, -tensor.itemsize, name


def _entry(tensor: NDArray[np.generic], start: int, end: int) -> dict[str, object]:
    return {"dtype": NAMES[str(tensor.dtype)], "shape": list(tensor.shape), "data_offsets": [start, end]}
