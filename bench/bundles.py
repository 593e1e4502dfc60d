"""Bundles to measure with: the shipped ones, or untrained networks of the same shape where they are not there yet.

Speed does not depend on the weights; PNG sizes do, so results name the bundle.
"""

import itertools
from pathlib import Path

import torch
from torch import Tensor, nn

from models.bundle import Bundle, publish, read_bundle, staging_folder, write_manifest

SHIPPED = Path(__file__).parent.parent / "models" / "exports"


class Dcgan(nn.Module):
    """The plain DCGAN generator: 4x4 transposed convolutions, `width` channels before the picture."""

    def __init__(self, side: int, width: int, channels: int) -> None:
        super().__init__()
        steps = side.bit_length() - 3
        sizes = [width * 2**k for k in range(steps - 1, -1, -1)]
        layers: list[nn.Module] = [nn.ConvTranspose2d(100, sizes[0], 4), nn.ReLU()]
        for before, after in itertools.pairwise(sizes):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.ReLU()]
        layers += [nn.ConvTranspose2d(sizes[-1], channels, 4, 2, 1), nn.Tanh()]
        self.body = nn.Sequential(*layers)

    def forward(self, noise: Tensor) -> Tensor:
        picture: Tensor = self.body(noise[:, :, None, None])
        return picture


def ensure(folder: Path, name: str, side: int, width: int = 64, channels: int = 3) -> Bundle:
    """The shipped bundle of that name, else an untrained one `bench<side>` in `folder`, made once."""
    if (SHIPPED / name / "manifest.json").is_file():
        return read_bundle(SHIPPED / name)
    target = folder / f"bench{side}"
    return read_bundle(target) if target.exists() else make(target, side, width, channels)


def make(target: Path, side: int, width: int, channels: int) -> Bundle:
    """Export an untrained DCGAN with weights that give smooth, varied pictures."""
    torch.manual_seed(0)
    module = Dcgan(side, width, channels).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() == 4:
                parameter.copy_(smooth(parameter))
    stage = staging_folder(target)
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        module, (torch.randn(2, 100),), str(stage / "level-0.onnx"), input_names=["noise"], output_names=["picture"],
        dynamic_shapes=({0: batch},), dynamo=True, external_data=False, verbose=False,
    )  # fmt: skip
    torch.jit.save(torch.jit.trace(module, (torch.randn(2, 100),)), str(stage / "level-0.ts"))
    level: dict[str, object] = {
        "previous": None,
        "output": [side, side],
        "files": {"onnx": "level-0.onnx", "torchscript": "level-0.ts"},
    }
    write_manifest(stage, _fields(target.name, side, channels, level))
    return publish(stage, target)


def smooth(weight: Tensor) -> Tensor:
    """Random numbers a channel pair, a bilinear kernel in space: pictures whose PNG is about as long as a photo's."""
    pairs = torch.randn(weight.shape[:2])[:, :, None, None] * (2.0 / weight.shape[0]) ** 0.5
    ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
    return pairs * torch.outer(ramp, ramp) * 1.1 + 0.1 * pairs * torch.randn_like(weight)


def _fields(name: str, side: int, channels: int, level: dict[str, object]) -> dict[str, object]:
    return {
        "name": name,
        "family": "dcgan",
        "description": "untrained weights, for benchmarks",
        "image": {"width": side, "height": side, "channels": channels},
        "latent": {"distribution": "standard_normal", "size": 100, "cuts": [{"name": "z", "shape": [100]}]},
        "levels": [level],
        "provenance": {"dataset": "none", "dataset_licence": "none", "licence": "Apache-2.0"},
    }
