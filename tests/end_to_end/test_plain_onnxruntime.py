"""What a model card shows works: a bundle's files, plain onnxruntime, ten lines, and the same picture as the server's."""

import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from models.bundle import read_bundle
from tests.conftest import ROOT
from tests.end_to_end.processes import running
from training.export.card import card

EXPORTS = ROOT / "models" / "exports"
SAMPLERS = [folder for folder in (path.parent for path in sorted(EXPORTS.glob("*/manifest.json")))
            if read_bundle(folder).manifest.samples]  # fmt: skip


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("cards"), EXPORTS) as (_, url):
        yield url


@pytest.mark.parametrize("folder", SAMPLERS, ids=lambda folder: folder.name)
def test_the_lines_of_the_card(address: str, folder: Path, tmp_path: Path) -> None:
    """At most ten lines of code; the picture is the server's within one level of 255."""
    bundle = read_bundle(folder)
    lines = re.search(r"```python\n(.*?)```", card(bundle.manifest), re.DOTALL)
    assert lines is not None
    assert len(lines[1].split("\n")) <= 9 + len(bundle.manifest.levels)
    for file in bundle.manifest.files:  # ONNX Runtime follows no link out of the graph's folder
        shutil.copy(bundle.path(file), tmp_path)
    done = subprocess.run([sys.executable, "-c", lines[1]], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answer = httpx.get(f"{address}/images/{bundle.name}/42.png", timeout=60)
    ours, theirs = Image.open(tmp_path / "42.png"), Image.open(io.BytesIO(answer.content))
    assert np.abs(np.asarray(ours, np.int16) - np.asarray(theirs, np.int16)).max() <= 1
