"""What an operation gives back, and how a job stores it: a JSON header and raw bytes, never pickle."""

import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.images.png import Pixels


@dataclass(frozen=True)
class Picture:
    """One picture: pixels uint8 [h, w, c], where it came from, and the recipe that makes it again."""

    pixels: Pixels
    seed: int | None = None
    label: str | None = None
    latent: str | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    url: str | None = None


@dataclass(frozen=True)
class Pictures:
    """Pictures of one model. `extra` is merged into the JSON envelope; `columns` shapes the contact sheet.

    `recipe` makes all of them again, where that is shorter than all their recipes. `animation` {fps, loop}: they are
    the frames of a walk, and WebP and GIF show it moving. `stack`: the pixels of all of them, where they already
    lie in one array.
    """

    model: str
    provider: str
    pictures: tuple[Picture, ...]
    timing_ms: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    columns: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] | None = None
    animation: Mapping[str, Any] | None = None
    stack: Pixels | None = None

    def array(self) -> Pixels:
        """The pixels of all pictures [n, h, w, c]. Raises ValueError where their sizes differ."""
        return np.stack([picture.pixels for picture in self.pictures]) if self.stack is None else self.stack


@dataclass(frozen=True)
class Document:
    """A JSON answer, with an array for `application/x-npy` where that makes sense."""

    body: Mapping[str, Any]
    array: NDArray[np.float32] | None = None
    model: str | None = None
    provider: str | None = None
    timing_ms: Mapping[str, float] = field(default_factory=dict)


Result = Pictures | Document


def pack(result: Result) -> bytes:
    """Header length, JSON header, then the arrays in npy format."""
    if isinstance(result, Pictures):
        header: dict[str, Any] = {
            "kind": "pictures",
            **_fields(result, ("model", "provider", "notes", "columns", "recipe", "animation")),
            "timing_ms": dict(result.timing_ms),
            "extra": dict(result.extra),
            "pictures": [_fields(p, ("seed", "label", "latent", "recipe", "url")) for p in result.pictures],
        }
        arrays: list[NDArray[Any]] = [p.pixels for p in result.pictures]
    else:
        header = {"kind": "document", **_fields(result, ("model", "provider")), "body": dict(result.body)}
        header["timing_ms"] = dict(result.timing_ms)
        arrays = [] if result.array is None else [result.array]
    return _join(header, arrays)


def unpack(data: bytes) -> Result:
    """The inverse of `pack`."""
    header, arrays = _split(data)
    if header.pop("kind") == "document":
        return Document(array=arrays[0] if arrays else None, **header)
    rows = header.pop("pictures")
    pictures = tuple(Picture(pixels=pixels, **row) for pixels, row in zip(arrays, rows, strict=True))
    header["notes"] = tuple(header["notes"])
    return Pictures(pictures=pictures, **header)


def _fields(thing: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names}


def _join(header: dict[str, Any], arrays: list[NDArray[Any]]) -> bytes:
    text = json.dumps(header).encode()
    buffer = io.BytesIO()
    buffer.write(struct.pack("<II", len(text), len(arrays)))
    buffer.write(text)
    for array in arrays:
        np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def _split(data: bytes) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    length, count = struct.unpack_from("<II", data)
    header = json.loads(data[8 : 8 + length])
    buffer = io.BytesIO(data[8 + length :])
    return header, [np.load(buffer, allow_pickle=False) for _ in range(count)]
