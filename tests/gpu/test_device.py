"""What a GPU computes beside the CPU: the same pictures within a step of 255, alone and in company, in several formats."""

import os

import numpy as np
import pytest
import torch

from models.bundle import read_bundle
from models.runtimes import RuntimeKind, open_runtime
from models.runtimes.base import to_pixels
from models.runtimes.graph_module import graph_module
from models.runtimes.trial import picture_chains
from tests.conftest import ROOT

pytestmark = pytest.mark.gpu
DEVICE = os.environ.get("GANYMEDE_GPU_DEVICE", "cuda")
EXPORTS = ROOT / "models" / "exports"
NAMES = ("faces64", "fashion32", "faces64-lapgan", "photo-x2")


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
@pytest.mark.parametrize("name", NAMES)
def test_the_device_draws_the_cpus_pictures(name: str, kind: RuntimeKind) -> None:
    """Every level of 64 seeds, no pixel more than one step away (CUDAExecutionProvider, torch)."""
    bundle = read_bundle(EXPORTS / name)
    reference, runtime = open_runtime(bundle), open_runtime(bundle, kind, DEVICE)
    chains = zip(picture_chains(reference, bundle.manifest), picture_chains(runtime, bundle.manifest), strict=True)
    for wanted, given in chains:
        for one, other in zip(wanted, given, strict=True):
            assert np.abs(to_pixels(one).astype(int) - to_pixels(other).astype(int)).max() <= 1


def test_half_precision_is_near() -> None:
    """bfloat16 and float16 on the device: near enough to look the same, which is not what is served."""
    bundle = read_bundle(EXPORTS / "faces64")
    noise = torch.from_numpy(np.random.RandomState(0).standard_normal((16, bundle.manifest.latent.size))).float()
    wanted = open_runtime(bundle).run_level(0, None, noise.numpy(), None)
    for kind, limit in ((torch.float16, 0.02), (torch.bfloat16, 0.15)):
        module = graph_module(bundle.path("level-0.onnx")).to(DEVICE, kind)
        with torch.inference_mode():
            given = module(noise.to(DEVICE, kind)).float().cpu().numpy()
        assert float(np.abs(given - wanted).mean()) < limit


def test_tensorrt_where_it_is() -> None:
    """The TensorRT provider, where this ONNX Runtime has one, opens a level and draws it within two steps."""
    import onnxruntime

    if "TensorrtExecutionProvider" not in onnxruntime.get_available_providers():
        return  # nothing to show on this machine; summary.txt names the providers
    bundle = read_bundle(EXPORTS / "faces64")
    session = onnxruntime.InferenceSession(
        str(bundle.path("level-0.onnx")), providers=["TensorrtExecutionProvider", "CUDAExecutionProvider"]
    )
    noise = np.random.RandomState(0).standard_normal((16, bundle.manifest.latent.size)).astype(np.float32)
    wanted = to_pixels(open_runtime(bundle).run_level(0, None, noise, None)).astype(int)
    assert np.abs(to_pixels(session.run(None, {"noise": noise})[0]).astype(int) - wanted).max() <= 2
