"""The bound that `precision=fast` states: of real runtimes, and of differences that are known."""

import numpy as np
import pytest

from models.bundle import Bundle, read_bundle
from models.runtimes import open_runtime
from models.runtimes.base import Array
from models.runtimes.difference import NONE, difference_of
from models.runtimes.onnx_runtime import OnnxRuntime
from models.runtimes.trial import LEVELS
from tests.conftest import ROOT


class Brighter(OnnxRuntime):
    """The reference's pictures at a third, so that nothing is clipped, with so many steps of 255 added."""

    steps = 0.0

    def run_level(self, level: int, previous: Array | None, noise: Array | None, label: Array | None) -> Array:
        made = super().run_level(level, previous, noise, label) / np.float32(3) + np.float32(self.steps / LEVELS)
        return np.asarray(made, np.float32)


def test_the_same_runtime_differs_by_nothing(tiny: Bundle) -> None:
    """Zero, and not one step for safety."""
    assert difference_of(open_runtime(tiny), open_runtime(tiny), tiny.manifest) == NONE


def test_the_bound_is_two_and_a_half_times_what_was_seen(tiny: Bundle) -> None:
    """Four steps of every pixel: no pixel may be further away than eleven, no picture further than ten on average."""
    brighter = Brighter(tiny)
    brighter.steps = 4.001
    found = difference_of(brighter, Brighter(tiny), tiny.manifest)
    assert (found.largest, found.seeds) == (11, 64)
    assert found.mean == pytest.approx(10, abs=0.05)


def test_of_float32_by_openvino_it_is_a_step() -> None:
    """A shipped bundle: some pixels lie so near the middle of two steps that any other order of sums turns them."""
    pytest.importorskip("openvino")
    bundle = read_bundle(ROOT / "models" / "exports" / "fashion32")
    found = difference_of(open_runtime(bundle, "openvino"), open_runtime(bundle), bundle.manifest)
    assert found.largest == 1
    assert 0.01 <= found.mean < 0.1
