"""The script for a GPU machine works the first time: the same steps on the CPU, on a packed set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.bundle import read_bundle
from scripts.pack_data import pack
from tests.conftest import ROOT
from tests.training.pictures import make_pictures, tiny_overrides
from training.data.sources import find_pictures


def test_a_packed_set_is_a_data_set(tmp_path: Path) -> None:
    """Classes stay, sides shrink, and the limit on bytes holds."""
    pictures = make_pictures(tmp_path / "pictures", count=6, side=80)
    assert pack(pictures, tmp_path / "all.zip", 24, 1 << 20) == 12
    found = find_pictures(tmp_path / "all.zip")
    assert {picture.attributes["class"] for picture in found} == {"bar", "disc"}
    assert found[0].open().size == (24, 24)
    assert pack(pictures, tmp_path / "few.zip", 24, 600) < 12
    assert (tmp_path / "few.zip").stat().st_size < 600 + 12 * 250


@pytest.mark.evidence
@pytest.mark.timeout(600)
def test_the_dry_run_leaves_results_and_a_bundle(tmp_path: Path) -> None:
    """Tests, bench, training and export, each with its text file and exit code 0."""
    pack(make_pictures(tmp_path / "pictures", count=8), tmp_path / "packed.zip", 20, 1 << 20)
    words = ["--device", "cpu", "--out", str(tmp_path / "out"), "--data", str(tmp_path / "packed.zip")]
    words += ["--recipe", "dcgan-modern", "--bundle", str(ROOT / "models" / "exports" / "mnist-gan"), "--"]
    words += [word for word in tiny_overrides(tmp_path) if not word.startswith(("data.path", "run.device"))]
    settings = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run([ROOT / "scripts" / "gpu_evidence.sh", *words], env=settings, capture_output=True, text=True)
    summary = (tmp_path / "out" / "summary.txt").read_text()
    assert done.returncode == 0, summary
    for step in ("machine", "tests", "bench", "train", "export"):
        assert f"{step}: exit 0" in summary
    assert "dry run" in (tmp_path / "out" / "bench.txt").read_text()
    assert read_bundle(tmp_path / "out" / "bundles" / "dcgan-modern-gpu").manifest.provenance.steps == 6
