"""Graphs run by torch without TorchScript: the shipped bundles' pictures, logits and gradients."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from models.bundle import read_bundle
from models.errors import RuntimeUnavailableError
from models.runtimes import open_runtime
from models.runtimes.graph_module import graph_module
from models.runtimes.operators import operator
from models.runtimes.trial import level_batches
from tests.conftest import ROOT

SHIPPED = sorted(path.name for path in (ROOT / "models" / "exports").iterdir() if path.is_dir())


@pytest.mark.parametrize("name", SHIPPED)
def test_torch_draws_what_onnx_runtime_draws(name: str) -> None:
    """Every level and the discriminator of every shipped bundle, from the ONNX file alone, within 1e-4."""
    bundle = read_bundle(ROOT / "models" / "exports" / name)
    runtime, manifest = open_runtime(bundle), bundle.manifest
    for level in range(len(manifest.levels)):
        module = graph_module(bundle.path(manifest.levels[level].files.onnx_file))
        inputs = next(level_batches(manifest, runtime, level))
        with torch.no_grad():
            given = module(*(torch.from_numpy(x[:4]) for x in inputs if x is not None)).numpy()
        wanted = runtime.run_level(level, *(None if x is None else np.ascontiguousarray(x[:4]) for x in inputs))
        assert np.abs(given - wanted).max() < 1e-4
    if manifest.discriminator is not None:
        shape = (4, manifest.image.channels, manifest.image.height, manifest.image.width)
        pictures = np.random.RandomState(0).uniform(-1, 1, shape).astype(np.float32)
        logits, features = graph_module(bundle.path(manifest.discriminator.files.onnx_file))(torch.from_numpy(pictures))
        judged = runtime.discriminate(pictures)
        assert np.allclose(logits, judged.logits, atol=1e-4, rtol=1e-4)
        assert np.allclose(features, judged.features, atol=1e-4, rtol=1e-4)


ENLARGED = (
    {"mode": "nearest", "scale_factor": 2},
    {"mode": "nearest", "size": (24, 16)},
    {"mode": "bilinear", "scale_factor": 2},
)


@pytest.mark.parametrize("how", [*ENLARGED, {"mode": "bilinear", "size": (11, 7), "align_corners": True}])
def test_enlargements_are_those_of_onnx_runtime(tmp_path: Path, how: dict[str, Any]) -> None:
    """As generators enlarge their maps; PyTorch-GAN's are found again by gradients."""
    picture, file = torch.randn(2, 3, 8, 4), tmp_path / "enlarged.onnx"
    torch.onnx.export(torch.nn.Upsample(**how), (picture,), file, dynamo=True, external_data=False)
    session = onnxruntime.InferenceSession(file)
    (wanted,) = session.run(None, {session.get_inputs()[0].name: picture.numpy()})
    assert np.abs(graph_module(file)(picture).numpy() - wanted).max() < 1e-5


def test_gradients_reach_the_latent_and_no_weight() -> None:
    """What projection needs; nothing in the module can be trained."""
    bundle = read_bundle(ROOT / "models" / "exports" / "fashion32")
    module = graph_module(bundle.path("level-0.onnx"))
    noise = torch.randn(2, bundle.manifest.latent.size, requires_grad=True)
    module(noise, torch.eye(10)[:2]).square().mean().backward()
    assert noise.grad is not None
    assert float(noise.grad.abs().max()) > 0
    assert list(module.parameters()) == []


def test_an_unknown_operator_is_a_sentence() -> None:
    """It names the operator."""
    with pytest.raises(RuntimeUnavailableError, match="Attention"):
        operator("Attention")


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("Slice", (torch.arange(6.0).reshape(2, 3), [0], [2], [1], [2])),
        ("Gather", (torch.arange(6.0).reshape(2, 3), [2, 0, 1])),
    ],
)
def test_parts_of_a_tensor_are_those_of_onnx_runtime(tmp_path: Path, kind: str, inputs: tuple[Any, ...]) -> None:
    """Stretches and shuffles of columns."""
    picture, *places = inputs
    names = [f"place-{k}" for k in range(len(places))]
    constants = [onnx.numpy_helper.from_array(np.array(v), n) for n, v in zip(names, places, strict=True)]
    more: dict[str, Any] = {"axis": 1} if kind == "Gather" else {}
    node = onnx.helper.make_node(kind, ["x", *names], ["y"], **more)
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("x", "y")]
    graph = onnx.helper.make_graph([node], "g", ends[:1], ends[1:], constants)
    file = tmp_path / "g.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10), file)
    (wanted,) = onnxruntime.InferenceSession(file).run(None, {"x": picture.numpy()})
    np.testing.assert_array_equal(graph_module(file)(picture), wanted)


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("Gather", [torch.zeros(2, 3), [1]]),  # one place and one place in a row look alike here
        ("Gather", [torch.zeros(2, 3), torch.zeros(2, 2)]),
        ("Slice", [torch.zeros(2, 3), [2], [0], [1], [-1]]),
        ("Slice", [[2, 3], [0], [1]]),
    ],
)
def test_what_would_have_another_shape_is_refused(kind: str, inputs: list[torch.Tensor | list[int]]) -> None:
    """With a sentence, never with other numbers."""
    with pytest.raises(RuntimeUnavailableError, match=f"{kind} in a way"):
        operator(kind)(torch, inputs, {})
