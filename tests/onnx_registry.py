"""Torch builds its table of ONNX operators anew for every graph it exports, which takes a second; who imports this has it once.

There is no public way to hand one over, so this leans on a private class of the torch that tests are pinned to. It only saves
time: where the class is no longer there, every test that would use it fails with its name.
"""

from functools import cache

from torch.onnx._internal.exporter._registration import ONNXRegistry

ONNXRegistry.from_torchlib = staticmethod(cache(ONNXRegistry.from_torchlib))  # type: ignore[method-assign]
