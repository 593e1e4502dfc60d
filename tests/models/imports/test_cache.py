"""Imports of `ganymede serve FILE` are kept by what they were made of, so that the second start costs nothing."""

from pathlib import Path

import onnx
import pytest
import torch

from models.imports.child import import_cached, key_of
from models.imports.options import Options
from tests.models.imports.generators import NZ, example
from tests.models.imports.test_onnx import Flat, export


def test_made_once_for_each_content_and_each_set_of_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, cache = tmp_path / "g.pth", tmp_path / "cache"
    torch.save(example().state_dict(), file)
    first = import_cached(file, cache, Options())
    with monkeypatch.context() as patched:
        patched.setattr("models.imports.child.run_import", lambda *_: pytest.fail("made again"))
        assert import_cached(file, cache, Options()).digest == first.digest
    assert key_of(file, Options()) != key_of(file, Options(licence="MIT"))


def test_weights_beside_an_onnx_file_count(tmp_path: Path) -> None:
    """Exported again with the same layers, only the file of weights changes; the old pictures must not be served."""
    file = export(Flat(), tmp_path / "plain.onnx", torch.randn(2, NZ))
    onnx.save(onnx.load(file), tmp_path / "g.onnx", save_as_external_data=True, location="g.data", size_threshold=0)
    before = key_of(tmp_path / "g.onnx", Options())
    data = bytearray((tmp_path / "g.data").read_bytes())
    data[100] ^= 1
    (tmp_path / "g.data").write_bytes(data)
    assert key_of(tmp_path / "g.onnx", Options()) != before
