"""What is remembered of a machine: shared, replaced in one rename, empty when damaged, bound to machine and libraries."""

import json
from pathlib import Path

import pytest

from models.runtimes import memory
from models.runtimes.choice import Choice, choice_of
from models.runtimes.memory import Memory, key_of
from models.runtimes.trial import Row

MADE = Choice(("onnx", "openvino-f32"), (Row(1, "openvino-f32", "faster", 0.01, 0.5, 4.0), Row(0, "onnx", "reference")))


def test_what_is_put_is_got_by_every_process(tmp_path: Path) -> None:
    """Entries survive the file, and other keys stay."""
    path = tmp_path / "deep" / "runtimes.json"
    with Memory(path).locked():
        Memory(path).put("a", {"levels": [1]})
        Memory(path).put("b", {})
    assert Memory(path).get("a") == {"levels": [1]}
    assert Memory(path).get("b") == {}
    assert Memory(path).get("c") is None
    assert [p.name for p in path.parent.iterdir() if p.suffix not in {".json", ".lock"}] == []


def test_a_choice_survives_the_file(tmp_path: Path) -> None:
    """Levels and rows; what is none is none."""
    memory = Memory(tmp_path / "runtimes.json")
    memory.put("a", MADE.entry())
    assert choice_of(memory.get("a")) == MADE
    assert choice_of(memory.get("b")) is choice_of({"levels": 3}) is choice_of({"levels": [], "rows": [1]}) is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"format": 99, "entries": {"a": {}}}', '{"format": 3}', '{"format": 3, "entries": {"a": 1}}'],
)
def test_a_damaged_file_counts_as_empty(tmp_path: Path, text: str) -> None:
    """Whatever stands in it, and writing repairs it."""
    path = tmp_path / "runtimes.json"
    path.write_text(text)
    assert Memory(path).get("a") is None
    Memory(path).put("a", {"b": 1})
    assert Memory(path).get("a") == {"b": 1}
    assert json.loads(path.read_text())["format"] == 3


def test_another_library_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """An update, or OpenVINO gone, measures again; so do other threads and batches, and what else was measured."""
    before = key_of("k", "d", 1, 16)
    assert before == key_of("k", "d", 1, 16)
    others = [key_of("l", "d", 1, 16), key_of("k", "e", 1, 16), key_of("k", "d", 2, 16), key_of("k", "d", 1, 8)]
    assert len({before, *others}) == 5
    monkeypatch.setattr(memory, "versions", lambda: {"openvino": "0"})
    memory.machine.cache_clear()
    assert key_of("k", "d", 1, 16) != before
    memory.machine.cache_clear()
