"""Networks from picture to picture become any-size upsamplers whose factor, range and reach are measured."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.errors import ImportRefusedError
from models.runtimes import open_runtime
from tests.models.imports.conftest import Import


class Sharpener(nn.Module):
    """As ESRGAN's relatives are built, small: convolutions, a residual, pixel shuffle, added to the enlarged picture."""

    def __init__(self, factor: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.factor = factor
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(8, 8, 3, padding=1))
        self.last = nn.Conv2d(8, 3 * factor**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.first(x)
        details = nn.functional.pixel_shuffle(self.last(features + self.body(features)), self.factor)
        return nn.functional.interpolate(x, scale_factor=float(self.factor), mode="nearest") + 0.1 * details


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
@pytest.mark.parametrize("factor", [2, 4])
def test_an_upsampler(tmp_path: Path, imported: Import, kind: str, factor: int) -> None:
    """Exported for one size, it serves every size; the reach of four 3x3 convolutions is four pixels."""
    network, file = Sharpener(factor).eval(), tmp_path / f"x{factor}.{kind}"
    if kind == "onnx":
        torch.onnx.export(network, (torch.rand(1, 3, 64, 64),), str(file), dynamo=False, opset_version=17)
    else:
        torch.jit.trace(network, torch.rand(1, 3, 16, 16)).save(str(file))
    bundle, facts = imported(file, kind="upsample")
    level = bundle.manifest.levels[0]
    assert (level.factor, level.halo) == (factor, 4)
    assert facts["range"].startswith("0..1")
    picture = np.random.RandomState(0).uniform(-1, 1, (1, 3, 10, 14)).astype(np.float32)
    noise = np.zeros((1, 1, 10 * factor, 14 * factor), np.float32)
    given = open_runtime(bundle).run_level(0, picture, noise, None)
    wanted = network(torch.from_numpy(picture) / 2 + 0.5) * 2 - 1
    assert np.abs(given - wanted.detach().numpy()).max() < 1e-4


def test_a_network_that_ends_in_tanh(tmp_path: Path, imported: Import) -> None:
    """It comes back in 0..1 nearly as well; where its last operator gives -1..1, that is what it was trained on."""

    class Ending(Sharpener):
        def forward(self, x: Tensor) -> Tensor:
            picture = 0.99 * super().forward(x).clamp(-1, 1)
            return torch.tanh(torch.log((1 + picture) / (1 - picture)) / 2)

    torch.onnx.export(Ending().eval(), (torch.rand(1, 3, 16, 16),), str(tmp_path / "t.onnx"), dynamo=False)
    _, facts = imported(tmp_path / "t.onnx", kind="upsample")
    assert facts["range"].startswith("-1..1")


def test_a_network_that_looks_at_the_whole_picture_is_refused(tmp_path: Path, imported: Import) -> None:
    class Global(Sharpener):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * (1 + x.mean((2, 3), keepdim=True))

    axes = {"image": {0: "n", 2: "h", 3: "w"}}
    given = (torch.rand(1, 3, 16, 16),)
    torch.onnx.export(
        Global().eval(), given, str(tmp_path / "g.onnx"), input_names=["image"], dynamic_axes=axes, dynamo=False
    )
    with pytest.raises(ImportRefusedError, match="looks further than 256 pixels"):
        imported(tmp_path / "g.onnx", kind="upsample")


def test_a_generator_is_no_upsampler(tmp_path: Path, imported: Import) -> None:
    torch.onnx.export(nn.Linear(4, 8), (torch.rand(1, 4),), str(tmp_path / "g.onnx"), dynamo=False)
    with pytest.raises(ImportRefusedError, match="takes one input"):
        imported(tmp_path / "g.onnx", kind="upsample")
