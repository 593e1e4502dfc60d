"""Tensors of the Open Inference Protocol: read as they were meant, or refused by name."""

import json
from typing import Any

import numpy as np
import pytest

from service.errors import MalformedError
from service.http.tensors import DATATYPES, MAX_NUMBERS, read_inputs, split, write_output

ROW = {"name": "seed", "shape": [2], "datatype": "INT64", "data": [1, 2]}


def inputs(*rows: Any, raw: bytes = b"") -> dict[str, np.ndarray]:
    return read_inputs({"inputs": list(rows)}, memoryview(raw))


def binary(size: object, **changes: object) -> dict[str, object]:
    return {"name": "z", "shape": [2, 3], "datatype": "FP32", "parameters": {"binary_data_size": size}} | changes


def test_numbers_of_every_type_are_read() -> None:
    """Flat or nested, as the protocol allows; the type is the one that was named."""
    for kind, dtype in DATATYPES.items():
        found = inputs({**ROW, "datatype": kind, "shape": [2, 1, 1, 1]})["seed"]
        assert (found.dtype, found.shape, found.reshape(-1).tolist()) == (np.dtype(dtype), (2, 1, 1, 1), [1, 2])
    assert inputs({**ROW, "shape": [1, 2], "data": [[1, 2]], "parameters": {}})["seed"].tolist() == [[1, 2]]
    assert inputs({**ROW, "shape": [0], "data": [], "parameters": None})["seed"].tolist() == []


def test_raw_bytes_follow_the_json_in_the_order_of_the_inputs() -> None:
    """Little-endian; what stands in JSON takes none of them."""
    z, seeds = np.arange(6, dtype="<f4").reshape(2, 3), np.asarray([7, 1 << 40], "<u8")
    last = binary(16, name="s", shape=[2], datatype="UINT64")
    head = json.dumps({"inputs": [binary(24), ROW, last]}).encode()
    request, raw = split(head + z.tobytes() + seeds.tobytes(), str(len(head)))
    found = read_inputs(request, raw)
    assert [each.tolist() for each in found.values()] == [z.tolist(), [1, 2], [7, 1 << 40]]


@pytest.mark.parametrize("length", ["-1", "x", "", "3", "²"])
def test_a_wrong_length_of_the_json_is_refused(length: str) -> None:
    """One outside the body, or no number."""
    with pytest.raises(MalformedError, match="not a length inside the body"):
        split(b"{}", length)


def test_the_whole_body_may_be_json() -> None:
    """With its length or without; no object, no JSON or endless brackets are refused."""
    for length in ("2", None):
        assert [bytes(split(b"{}", length)[1]), split(b"{}", length)[0]] == [b"", {}]
    for body, words in ((b"[1]", "must be a JSON object"), (b"{", "not valid JSON"), (b"[" * 99999, "not valid JSON")):
        with pytest.raises(MalformedError, match=words):
            split(body, None)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (7, "every input needs a name"),
        ({**ROW, "name": 7}, "every input needs a name"),
        ({**ROW, "datatype": "BYTES"}, "input 'seed': datatype must be one of FP32, FP64, INT32"),
        ({**ROW, "name": "n" * 99, "datatype": None}, f"input '{'n' * 40}': datatype"),
        ({**ROW, "shape": [1, 1, 1, 1, 2]}, "input 'seed': shape must be 1 to 4 sizes"),
        ({**ROW, "shape": []}, "shape must be 1 to 4 sizes"),
        ({**ROW, "shape": 2}, "shape must be 1 to 4 sizes"),
        ({**ROW, "shape": [-2]}, "shape must be 1 to 4 sizes"),
        ({**ROW, "shape": [True, 2]}, "shape must be 1 to 4 sizes"),
        ({**ROW, "shape": [MAX_NUMBERS + 1]}, "16000000 numbers at most"),
        ({**ROW, "shape": [1 << 32, 1 << 32]}, "16000000 numbers at most"),
        ({**ROW, "shape": [3]}, r"input 'seed': data does not fill shape \[3\]"),
        ({**ROW, "data": ["x", "y"]}, "data does not fill"),
        ({**ROW, "data": [1, [2]]}, "data does not fill"),
        ({**ROW, "datatype": "UINT8", "data": [1, 256]}, "data does not fill"),
        ({"name": "seed", "shape": [2], "datatype": "INT64"}, "data does not fill"),
        (binary(23), r"input 'z': binary_data_size does not fit shape \[2, 3\]"),
        (binary(24.0), "binary_data_size does not fit"),
        (binary(36, shape=[3, 3]), "binary_data_size does not fit"),
    ],
)
def test_a_tensor_that_is_off_is_refused_by_name(row: object, words: str) -> None:
    """Nobody is left to guess which input was wrong."""
    with pytest.raises(MalformedError, match=words):
        inputs(row, raw=bytes(24))


def test_inputs_are_a_list() -> None:
    """None, or an object, is told."""
    for request in ({}, {"inputs": {"seed": 1}}):
        with pytest.raises(MalformedError, match="inputs must be a list of tensors"):
            read_inputs(request, memoryview(b""))


def test_outputs_are_numbers_or_bytes() -> None:
    """As JSON flat and without raw bytes; else the number of bytes and the bytes."""
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    heading = {"name": "pictures", "datatype": "UINT8", "shape": [1, 2, 2, 3]}
    assert write_output("pictures", pixels, False) == ({**heading, "data": list(range(12))}, b"")
    assert write_output("pictures", pixels, True) == (
        {**heading, "parameters": {"binary_data_size": 12}},
        bytes(range(12)),
    )
