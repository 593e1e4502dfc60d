"""Small real bundles for tests: random weights, real ONNX and TorchScript files, made once a session."""

import itertools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import tests.onnx_registry  # noqa: F401
from models.bundle import Bundle, publish, staging_folder, write_manifest
from models.mathematics.pyramid import enlarge_matrix

LABELS = ("red", "green", "blue")


class TinyGenerator(nn.Module):
    """z [n, 8] (and a label) to a 16x16 colour picture, by one linear layer and two transposed convolutions."""

    def __init__(self, labels: int = 0, channels: int = 3) -> None:
        super().__init__()
        self.project: nn.Module = nn.Linear(8 + labels, 16 * 4 * 4)
        self.up = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(16, 8, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(8, channels, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        z = noise if label is None else torch.cat([noise, label], 1)
        return self.up(self.project(z).view(-1, 16, 4, 4))


class ShapedGenerator(nn.Module):
    """z [n, 8] to a picture of any size and channels: a 4x4 board of colours, enlarged smoothly."""

    def __init__(self, height: int, width: int, channels: int) -> None:
        super().__init__()
        self.project = nn.Linear(8, channels * 16)
        self.finish = nn.Sequential(
            nn.Unflatten(1, (channels, 4, 4)), nn.Upsample(size=(height, width), mode="bilinear"), nn.Tanh()
        )

    def forward(self, noise: Tensor) -> Tensor:
        return self.finish(3 * self.project(noise))


class TinyLevel(nn.Module):
    """(previous, noise plane) to a picture of twice the side: enlarge, add a residual."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.matrix: Tensor
        self.register_buffer("matrix", torch.from_numpy(enlarge_matrix(side, 2 * side).copy()))
        self.residual = nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, previous: Tensor, noise: Tensor) -> Tensor:
        low = self.matrix @ previous @ self.matrix.T
        return low + 0.2 * self.residual(torch.cat([low, noise], 1))


class TinyDiscriminator(nn.Module):
    """A picture to one logit and 8 features."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 8, 4, 4), nn.LeakyReLU(0.2), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.head = nn.Linear(8, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(image)
        return self.head(features), features


def export_graph(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str], stem: Path) -> dict[str, str]:
    """Write `<stem>.onnx` with a dynamic batch and `<stem>.ts`; returns the manifest's `files` entry."""
    module.eval()
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        module,
        tuple(inputs.values()),
        f"{stem}.onnx",
        input_names=list(inputs),
        output_names=outputs,
        dynamic_shapes=tuple({0: batch} for _ in inputs),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    torch.jit.save(torch.jit.trace(module, tuple(inputs.values())), f"{stem}.ts")
    return {"onnx": f"{stem.name}.onnx", "torchscript": f"{stem.name}.ts"}


def fields(
    name: str, side: int, cuts: list[dict[str, Any]], levels: list[dict[str, Any]], **extra: object
) -> dict[str, object]:
    """The parts of a manifest that every tiny bundle shares."""
    size = sum(torch.Size(cut["shape"]).numel() for cut in cuts)
    return {
        "name": name,
        "family": "tiny",
        "description": "random weights, for tests",
        "image": {"width": side, "height": side, "channels": 3},
        "latent": {"distribution": "standard_normal", "size": size, "cuts": cuts},
        "levels": levels,
        "provenance": {"dataset": "none", "dataset_licence": "none", "licence": "Apache-2.0"},
        **extra,
    }


def make_tiny(folder: Path, name: str = "tiny", labels: tuple[str, ...] | None = None, seed: int = 0) -> Bundle:
    """A one-level bundle of 16x16 pictures, label-conditional when `labels` are given, with a discriminator."""
    torch.manual_seed(seed)
    stage = staging_folder(folder / name)
    inputs = {"noise": torch.randn(2, 8)} | ({"label": torch.eye(len(labels))[:2]} if labels else {})
    files = export_graph(TinyGenerator(len(labels or ())), inputs, ["picture"], stage / "level-0")
    graph = export_graph(
        TinyDiscriminator(), {"image": torch.randn(2, 3, 16, 16)}, ["logits", "features"], stage / "discriminator"
    )
    level = {"previous": None, "output": [16, 16], "label": labels is not None, "files": files}
    discriminator = {"kind": "real", "feature_size": 8, "files": graph}
    cuts = [{"name": "z", "shape": [8]}]
    (stage / "README.md").write_text(f"---\nname: {name}\n---\n# {name}\n\nRandom weights.\n")
    write_manifest(stage, fields(name, 16, cuts, [level], labels=labels, discriminator=discriminator))
    return publish(stage, folder / name)


def make_shaped(folder: Path, name: str, height: int, width: int, channels: int) -> Bundle:
    """A one-level bundle of any picture size and 1, 3 or 4 channels; one with alpha has a discriminator, too."""
    torch.manual_seed(height * width + channels)
    stage = staging_folder(folder / name)
    generator = ShapedGenerator(height, width, channels)
    files = export_graph(generator, {"noise": torch.randn(2, 8)}, ["picture"], stage / "level-0")
    level = {"previous": None, "output": [height, width], "files": files}
    own: dict[str, object] = {"image": {"width": width, "height": height, "channels": channels}}
    if channels == 4:
        picture = {"image": torch.randn(2, channels, height, width)}
        graph = export_graph(TinyDiscriminator(channels), picture, ["logits", "features"], stage / "discriminator")
        own["discriminator"] = {"kind": "real", "feature_size": 8, "files": graph}
    write_manifest(stage, fields(name, width, [{"name": "z", "shape": [8]}], [level]) | own)
    return publish(stage, folder / name)


def make_tiny_pyramid(
    folder: Path, name: str = "tiny-lapgan", seed: int = 0, sides: tuple[int, ...] = (16, 32)
) -> Bundle:
    """A level for every side, each twice the one before; all but the first take the last picture and a noise plane."""
    torch.manual_seed(seed)
    stage = staging_folder(folder / name)
    small = nn.Sequential(nn.Linear(8, 3 * sides[0] ** 2), nn.Unflatten(1, (3, sides[0], sides[0])), nn.Tanh())
    first = TinyGenerator() if sides[0] == 16 else small
    base = export_graph(first, {"noise": torch.randn(2, 8)}, ["picture"], stage / "level-0")
    levels: list[dict[str, Any]] = [{"previous": None, "output": [sides[0]] * 2, "files": base}]
    cuts: list[dict[str, Any]] = [{"name": "z", "shape": [8]}]
    for k, (low, high) in enumerate(itertools.pairwise(sides), 1):
        inputs = {"previous": torch.randn(2, 3, low, low), "noise": torch.randn(2, 1, high, high)}
        files = export_graph(TinyLevel(low), inputs, ["picture"], stage / f"level-{k}")
        levels.append({"previous": [low, low], "output": [high, high], "files": files})
        cuts.append({"name": f"plane-{k}", "shape": [1, high, high]})
    upsampling = {"kind": "fixed", "start_sizes": list(sides[:-1]), "max_factor": sides[-1] // sides[0]}
    write_manifest(stage, fields(name, sides[-1], cuts, levels, upsampling=upsampling))
    return publish(stage, folder / name)
