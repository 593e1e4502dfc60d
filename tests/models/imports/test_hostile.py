"""Files made to harm: a sentence within two seconds of processor time, bounded memory, nothing run, nothing left behind.

Most are refused in this process by what the importing process answers; memory, time and cleaning up need a real child.
"""

import json
import pickle
import resource
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from models.imports.__main__ import answer
from models.imports.child import ImportFailedError, run_import
from models.imports.options import Options
from tests.models.imports.generators import NZ, example

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """`sentence = refused(path)`: what the importing process answers, and a look at the clock and at what is left."""

    def run(path: Path, child: bool = False) -> str:
        before, used = sorted(tmp_path.rglob("*")), _processor_seconds(child)
        sentence = _by_child(path, tmp_path) if child else _in_here(path, tmp_path)
        assert _processor_seconds(child) - used < 2.0
        assert sorted(tmp_path.rglob("*")) == before, "something was left behind"
        assert "Traceback" not in sentence
        assert str(tmp_path) not in sentence
        return sentence

    return run


def _processor_seconds(child: bool) -> float:
    """What this process used, or its finished children: of a busy machine the clock on the wall says nothing."""
    if not child:
        return time.process_time()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _in_here(path: Path, tmp_path: Path) -> str:
    orders = {"path": str(path), "out": str(tmp_path / "bundles"), "options": {}}
    return str(answer(orders)["error"])


def _by_child(path: Path, tmp_path: Path) -> str:
    with pytest.raises(ImportFailedError) as caught:
        run_import(path, tmp_path / "bundles", Options())
    return str(caught.value)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = str(target)

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (self.target, "w"))


@pytest.mark.parametrize("form", ["torch", "torch before 1.6", "bare pickle"])
def test_pickles_with_code(tmp_path: Path, refused: Refused, form: str) -> None:
    """What the pickle would run is named, it is not run, and the sentence says what to do instead."""
    file, target = tmp_path / "evil.pth", tmp_path / "ran"
    if form == "bare pickle":
        file.write_bytes(pickle.dumps(Bomb(target), 4))
    else:
        torch.save({"w": Bomb(target)}, file, _use_new_zipfile_serialization=form == "torch")
    sentence = refused(file)
    assert "open" in sentence
    assert "would run that code" in sentence
    assert "state_dict" in sentence
    assert not target.exists()


def test_a_whole_model_without_its_class(tmp_path: Path, refused: Refused) -> None:
    torch.save(example(), tmp_path / "whole.pth")
    assert "--class my_module:Generator" in refused(tmp_path / "whole.pth", child=True)


def test_a_zip_bomb(tmp_path: Path, refused: Refused) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        archive.writestr("archive/data/0", b"\0" * (64 << 20))
    assert "zip bomb" in refused(tmp_path / "bomb.pth")


def test_external_data_outside_the_folder(tmp_path: Path, refused: Refused) -> None:
    """A graph that would read another file of the machine into its weights."""
    for place in ("../secret", "/etc/passwd"):
        model = _graph([helper.make_node("MatMul", ["z", "w"], ["x"])], [("w", [NZ, 192])])
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=place)
        (tmp_path / "g.onnx").write_bytes(model.SerializeToString())
        assert "outside the file's own folder" in refused(tmp_path / "g.onnx")


def test_external_data_by_a_symbolic_link(tmp_path: Path, refused: Refused) -> None:
    model = _graph([helper.make_node("MatMul", ["z", "w"], ["x"])], [("w", [NZ, 192])])
    onnx.save(model, tmp_path / "g.onnx", save_as_external_data=True, location="g.data", size_threshold=0)
    (tmp_path / "g.data").unlink()
    (tmp_path / "g.data").symlink_to("/etc/passwd")
    assert "outside the file's own folder" in refused(tmp_path / "g.onnx")


def test_external_data_that_is_too_short(tmp_path: Path, refused: Refused) -> None:
    """Truncated, or of another file: the weights do not fit their shapes."""
    model = _graph([helper.make_node("MatMul", ["z", "w"], ["x"])], [("w", [NZ, 192])])
    onnx.save(model, tmp_path / "g.onnx", save_as_external_data=True, location="g.data", size_threshold=0)
    (tmp_path / "g.data").write_bytes(b"short")
    assert "truncated" in refused(tmp_path / "g.onnx")


def test_operators_that_need_foreign_code(tmp_path: Path, refused: Refused) -> None:
    model = _graph([helper.make_node("Exec", ["z"], ["x"], domain="evil.ops")])
    model.opset_import.append(helper.make_opsetid("evil.ops", 1))
    (tmp_path / "g.onnx").write_bytes(model.SerializeToString())
    assert "evil.ops::Exec" in refused(tmp_path / "g.onnx")


def test_a_picture_of_two_to_the_thirty_one(tmp_path: Path, refused: Refused) -> None:
    """A hundred bytes that ask for eight gigabytes."""
    sides = numpy_helper.from_array(np.asarray([1, 3, 26755, 26755], np.int64), "sides")
    nodes = [
        helper.make_node("ReduceSum", ["z"], ["one"], keepdims=1),
        helper.make_node("Reshape", ["one", "shape"], ["four"]),
        helper.make_node("Expand", ["four", "sides"], ["x"]),
    ]
    model = _graph(nodes)
    shape = numpy_helper.from_array(np.asarray([1, 1, 1, 1], np.int64), "shape")
    model.graph.initializer.extend([sides, shape])
    (tmp_path / "g.onnx").write_bytes(model.SerializeToString())
    assert "2,147,490,075 numbers" in refused(tmp_path / "g.onnx")


def test_a_size_that_only_running_tells(tmp_path: Path, refused: Refused) -> None:
    """Shapes computed inside the graph escape inference; the process has no more memory than it was given."""
    nodes = [
        helper.make_node("ReduceMax", ["z"], ["top"], keepdims=0),
        helper.make_node("Sub", ["top", "top"], ["zero"]),
        helper.make_node("Add", ["zero", "many"], ["side"]),
        helper.make_node("Cast", ["side"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Unsqueeze", ["whole", "axis"], ["row"]),
        helper.make_node("Concat", ["head", "row", "row"], ["sides"], axis=0),
        helper.make_node("ConstantOfShape", ["sides"], ["x"]),
    ]
    model = _graph(nodes)
    values = {"many": np.float32(100_000), "axis": np.asarray([0]), "head": np.asarray([2, 3])}
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in values.items())
    (tmp_path / "g.onnx").write_bytes(model.SerializeToString())
    assert "does not run" in refused(tmp_path / "g.onnx", child=True)


@pytest.mark.parametrize("kind", ["onnx", "checkpoint"])
def test_weights_that_are_no_numbers(tmp_path: Path, refused: Refused, kind: str) -> None:
    if kind == "checkpoint":
        state = example().state_dict()
        state["main.3.weight"][0, 0, 0, 0] = float("nan")
        torch.save(state, tmp_path / "nan")
    else:
        model = _graph([helper.make_node("MatMul", ["z", "w"], ["x"])])
        model.graph.initializer.append(numpy_helper.from_array(np.full((NZ, 192), np.nan, np.float32), "w"))
        (tmp_path / "nan").write_bytes(model.SerializeToString())
    assert "hold values that are not finite" in refused(tmp_path / "nan")


@pytest.mark.parametrize("kind", ["onnx", "checkpoint", "safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.98])
def test_truncated_files(tmp_path: Path, refused: Refused, kind: str, share: float) -> None:
    from safetensors.torch import save_file

    whole = tmp_path / "whole"
    if kind == "onnx":
        model = _graph([helper.make_node("MatMul", ["z", "w"], ["x"])], [("w", [NZ, 192])])
        whole.write_bytes(model.SerializeToString())
    elif kind == "checkpoint":
        torch.save(example().state_dict(), whole)
    else:
        save_file(example().state_dict(), whole)
    data = whole.read_bytes()
    whole.unlink()
    (tmp_path / f"cut.{kind}").write_bytes(data[: int(len(data) * share)])
    sentence = refused(tmp_path / f"cut.{kind}")
    assert "truncated" in sentence or "empty" in sentence or "neither" in sentence


def test_a_safetensors_header_that_lies(tmp_path: Path, refused: Refused) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1 << 20, 1 << 20], "data_offsets": [0, 4 << 40]}}).encode()
    (tmp_path / "lie.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 64)
    assert "no readable safetensors file" in refused(tmp_path / "lie.safetensors")


def test_an_initializer_that_says_it_is_huge(tmp_path: Path, refused: Refused) -> None:
    model = _graph([helper.make_node("MatMul", ["z", "w"], ["x"])], [("w", [NZ, 192])])
    model.graph.initializer[0].dims[:] = [1 << 20, 1 << 20]
    (tmp_path / "g.onnx").write_bytes(model.SerializeToString())
    assert "are said to hold" in refused(tmp_path / "g.onnx")


def test_a_loop_without_end(tmp_path: Path) -> None:
    """Time is bounded, too."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["carried"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("k", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, [2, NZ]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [2, NZ]),
        ],
    )
    model = _graph([helper.make_node("Loop", ["", "", "z"], ["x"], body=body)])
    (tmp_path / "g.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ImportFailedError, match="took longer than 3 s"):
        run_import(tmp_path / "g.onnx", tmp_path / "bundles", Options(), timeout_s=3)
    assert not (tmp_path / "bundles").exists()


@pytest.mark.parametrize("harm", ["cut", "bit", "nan", "nan script", "old cut", "old nan", "code", "old code"])
def test_a_fresh_process_answers_at_once(tmp_path: Path, refused: Refused, harm: str) -> None:
    """As on the command line: nothing slow is imported before the file was looked at."""
    file, old = tmp_path / "netG.pth", "old" in harm
    content: dict[str, Any] = example().state_dict()
    if "nan" in harm:
        content["main.3.weight"][0, 0, 0, 0] = float("nan")
    if "code" in harm:
        content |= {"evil": Bomb(tmp_path / "ran")}
    torch.save(content, file, _use_new_zipfile_serialization=not old)
    if harm == "nan script":
        network = example()
        network.get_parameter("main.3.weight").data[0] = float("nan")
        torch.jit.script(network).save(str(file))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 64 if harm == "bit" else 0
    file.write_bytes(data[: len(data) * 9 // 10] if "cut" in harm else data)
    told = {"cut": "truncated", "bit": "damaged", "nan": "not finite", "script": "not finite", "code": "run that code"}
    assert told[harm.split()[-1]] in refused(file, child=True)


def test_a_pickle_that_multiplies(tmp_path: Path, refused: Refused) -> None:
    """A few hundred bytes of dictionaries that hold each other would be read for years."""
    inner: dict[str, object] = {"w": torch.ones(2, 2)}
    for _ in range(5):
        inner = {str(k): inner for k in range(60)}
    torch.save(inner, tmp_path / "many.pth")
    assert "more than 50,000 entries" in refused(tmp_path / "many.pth", child=True)


def _graph(nodes: list[onnx.NodeProto], weights: list[tuple[str, list[int]]] = []) -> onnx.ModelProto:  # noqa: B006
    """A graph from z [2, 12] to x."""
    rng = np.random.RandomState(0)
    stored = [numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name) for name, shape in weights]
    given = [helper.make_tensor_value_info("z", TensorProto.FLOAT, [2, NZ])]
    made = [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", given, made, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
