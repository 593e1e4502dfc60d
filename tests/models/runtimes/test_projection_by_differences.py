"""Without gradients: a generator's own picture is found again by finite differences."""

import time
from pathlib import Path

import numpy as np
import torch

from models.imports.build import import_file
from models.imports.options import Options
from models.imports.report import Report
from models.mathematics.latents import draw
from models.runtimes import open_runtime
from models.runtimes.projection import Search
from models.runtimes.projection_by_differences import Differences
from tests.models.imports.generators import example


def test_own_pictures_are_found_again(tmp_path: Path) -> None:
    """Three of four pictures to 30 dB, each within seconds, on ONNX Runtime alone."""
    torch.save(example().state_dict(), tmp_path / "g.pth")
    bundle = import_file(tmp_path / "g.pth", tmp_path, Options(), Report())
    assert bundle is not None
    runtime = open_runtime(bundle)
    found, started = [], time.process_time()
    for seed in (1001, 1002, 1003, 1004):
        target = runtime.run_level(0, None, draw(bundle.manifest.latent, [seed]), None)[0]
        result = Differences(runtime, bundle, target, Search(candidates=64), None).run()
        assert np.isfinite(result.vector).all()
        found.append(result.psnr_db)
    assert sum(decibels >= 30 for decibels in found) >= 3, found
    assert time.process_time() - started < 60
