"""Torch builds its table of ONNX operators anew for every graph it exports, which takes a second; tests build it once.

There is no public way to hand one over, so this leans on a private class of the torch that tests are pinned to. It only saves
time: where the class is no longer there, every test that would use it fails with its name.
"""

from collections.abc import Iterator
from functools import cache

import pytest


@pytest.fixture(scope="session", autouse=True)
def operators_once() -> Iterator[None]:
    """The table of the default opset is made once for this process; exporting here never changes it."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        yield
