"""The memory of choices: shared, replaced in one rename, empty when damaged, bound to machine and libraries."""

import json
from pathlib import Path

import pytest

from models.runtimes import choice
from models.runtimes.choice import Choice, Choices, key_of
from models.runtimes.trial import Row

MADE = Choice(("onnx", "openvino-f32"), (Row(1, "openvino-f32", "faster", 0.01, 0.5, 4.0), Row(0, "onnx", "reference")))


def test_what_is_put_is_got_by_every_process(tmp_path: Path) -> None:
    """Rows and levels survive the file, and other keys stay."""
    path = tmp_path / "deep" / "runtimes.json"
    with Choices(path).locked():
        Choices(path).put("a", MADE)
        Choices(path).put("b", Choice(("onnx",)))
    assert Choices(path).get("a") == MADE
    assert Choices(path).get("b") == Choice(("onnx",))
    assert Choices(path).get("c") is None
    assert [p.name for p in path.parent.iterdir() if p.suffix not in {".json", ".lock"}] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": 99, "choices": {"a": 1}}',
        '{"format": 1}',
        '{"format": 1, "choices": {"a": {"levels": 3}}}',
    ],
)
def test_a_damaged_file_counts_as_empty(tmp_path: Path, text: str) -> None:
    """Whatever stands in it, and writing repairs it."""
    path = tmp_path / "runtimes.json"
    path.write_text(text)
    assert Choices(path).get("a") is None
    Choices(path).put("a", MADE)
    assert Choices(path).get("a") == MADE
    assert json.loads(path.read_text())["format"] == 1


def test_another_library_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """An update, or OpenVINO gone, measures again; so do other threads and batches."""
    before = key_of("d", 1, 16)
    assert before == key_of("d", 1, 16)
    assert len({before, key_of("e", 1, 16), key_of("d", 2, 16), key_of("d", 1, 8)}) == 4
    monkeypatch.setattr(choice, "versions", lambda: {"openvino": "0"})
    assert key_of("d", 1, 16) != before
