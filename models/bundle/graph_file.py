"""Which tensors an ONNX file keeps outside itself, read from its bytes: no library, nothing loaded, nothing trusted."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

ITEM_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
"""Bytes of an element by ONNX's number of its type: 1 is float32, 10 float16, 7 int64."""
EXTERNAL = 1
# Numbers of the fields that can lead to a tensor, from onnx.proto: message -> field -> message inside.
INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}


@dataclass(frozen=True)
class ExternalTensor:
    """A tensor whose `length` bytes lie at `offset` of the file `location`; `expected` bytes by its type and shape."""

    name: str
    location: str
    offset: int
    length: int
    expected: int


def external_tensors(data: bytes) -> list[ExternalTensor]:
    """Every tensor of an ONNX file that lies outside it. Raises ValueError for bytes that are no such file."""
    return [_described(tensor) for tensor in _tensors(memoryview(data), "model") if _is_external(tensor)]


def _tensors(message: memoryview, kind: str) -> Iterator[memoryview]:
    if kind == "tensor":
        yield message
        return
    for number, value in _fields(message):
        inner = INSIDE[kind].get(number)
        if inner is not None and isinstance(value, memoryview):
            yield from _tensors(value, inner)


def _is_external(tensor: memoryview) -> bool:
    return any(number == 14 and value == EXTERNAL for number, value in _fields(tensor))


def _described(tensor: memoryview) -> ExternalTensor:
    name, kind, sides, entries = "", 0, list[int](), dict[str, str]()
    for number, value in _fields(tensor):
        if number == 1:
            sides += _numbers(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8:
            name = _text(value)
        elif number == 13 and isinstance(value, memoryview):
            pair = dict(_fields(value))
            entries[_text(pair.get(1, b""))] = _text(pair.get(2, b""))
    if kind not in ITEM_BYTES:
        raise ValueError(f"{name} is of a type that cannot lie outside")
    expected = math.prod(sides) * ITEM_BYTES[kind]
    place = int(entries.get("offset", "0")), int(entries.get("length", str(expected)))
    return ExternalTensor(name, entries.get("location", ""), *place, expected)


def _numbers(value: int | memoryview) -> list[int]:
    """One number, or several packed into bytes."""
    if isinstance(value, int):
        return [value]
    found, place = [], 0
    while place < len(value):
        number, place = _varint(value, place)
        found.append(number)
    return found


def _text(value: int | memoryview | bytes) -> str:
    if isinstance(value, int):
        raise ValueError("a number where a name belongs")
    return bytes(value).decode("utf-8")


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a protobuf message, by its wire format."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if kind == 2:
            size, place = _varint(message, place)
        else:
            size = {1: 8, 5: 4}.get(kind, -1)
        if size < 0 or place + size > len(message):
            raise ValueError("a field reaches beyond its message")
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            break
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number that does not end")
