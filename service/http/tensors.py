"""Tensors of the Open Inference Protocol v2 on the wire: JSON numbers, or raw bytes by the binary tensor extension."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import MalformedError

DATATYPES: dict[str, type[np.generic]] = {
    "FP32": np.float32,
    "FP64": np.float64,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
}
MAX_RANK = 4
MAX_NUMBERS = 16_000_000


def split(body: bytes, header_length: str | None) -> tuple[dict[str, Any], memoryview]:
    """The JSON part and the raw bytes behind it. Raises MalformedError."""
    length = len(body)
    if header_length is not None:
        if not (header_length.isascii() and header_length.isdigit() and int(header_length) <= len(body)):
            raise MalformedError("Inference-Header-Content-Length is not a length inside the body")
        length = int(header_length)
    try:
        found = json.loads(body[:length])
    except (ValueError, RecursionError):
        raise MalformedError("the inference request is not valid JSON") from None
    if not isinstance(found, dict):
        raise MalformedError("the inference request must be a JSON object")
    return found, memoryview(body)[length:]


def read_inputs(request: dict[str, Any], raw: memoryview) -> dict[str, NDArray[Any]]:
    """The input tensors by name, shapes checked against their data. Raises MalformedError naming the tensor."""
    tensors, rows = {}, request.get("inputs")
    if not isinstance(rows, list):
        raise MalformedError("inputs must be a list of tensors")
    for row in rows:
        name, shape, dtype = _heading(row)
        size = row.get("parameters", {}).get("binary_data_size") if isinstance(row.get("parameters"), dict) else None
        if size is None:
            tensors[name] = _from_json(name, row.get("data"), shape, dtype)
        else:
            tensors[name], raw = _from_bytes(name, raw, size, shape, dtype)
    return tensors


def _heading(row: Any) -> tuple[str, tuple[int, ...], np.dtype[Any]]:
    if not isinstance(row, dict) or not isinstance(row.get("name"), str):
        raise MalformedError("every input needs a name")
    kind, shape = DATATYPES.get(str(row.get("datatype"))), row.get("shape")
    if kind is None:
        raise MalformedError(f"input {row['name'][:40]!r}: datatype must be one of {', '.join(DATATYPES)}")
    fine = isinstance(shape, list) and 1 <= len(shape) <= MAX_RANK and all(type(n) is int and n >= 0 for n in shape)
    if not fine or not isinstance(shape, list) or int(np.prod(shape, dtype=object)) > MAX_NUMBERS:
        raise MalformedError(
            f"input {row['name'][:40]!r}: shape must be 1 to {MAX_RANK} sizes, {MAX_NUMBERS} numbers at most"
        )
    return row["name"], tuple(shape), np.dtype(kind).newbyteorder("<")


def _from_json(name: str, data: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        return np.asarray(data, dtype).reshape(shape)
    except (TypeError, ValueError, OverflowError):
        raise MalformedError(f"input {name[:40]!r}: data does not fill shape {list(shape)}") from None


def _from_bytes(
    name: str, raw: memoryview, size: Any, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[NDArray[Any], memoryview]:
    if type(size) is not int or size != int(np.prod(shape)) * dtype.itemsize or size > len(raw):
        raise MalformedError(f"input {name[:40]!r}: binary_data_size does not fit shape {list(shape)}")
    return np.frombuffer(raw[:size], dtype).reshape(shape), raw[size:]


def write_output(name: str, tensor: NDArray[np.uint8], binary: bool) -> tuple[dict[str, Any], bytes]:
    """One output's JSON entry and its raw bytes (empty when it travels as JSON)."""
    entry: dict[str, Any] = {"name": name, "datatype": "UINT8", "shape": list(tensor.shape)}
    if binary:
        data = tensor.tobytes()
        return {**entry, "parameters": {"binary_data_size": len(data)}}, data
    return {**entry, "data": tensor.reshape(-1).tolist()}, b""
