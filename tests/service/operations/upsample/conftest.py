"""A tiny any-size bundle beside the tiny pyramid, and pictures to send."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from models.bundle import publish, staging_folder, write_manifest
from tests.bundles import fields
from tests.conftest import ClientFactory
from tests.service.images.uploads.pictures import photo, saved
from training.export.graphs import Graph, write_graph
from training.methods.pyramid import DoubleHalfPixel
from training.networks.lapgan import ResidualLevel, SubpixelResidual
from training.recipes.tables import PyramidTable


def make_tiny_double(folder: Path, name: str = "tiny-x2") -> None:
    """An any-size bundle with random weights and a loud residual."""
    torch.manual_seed(5)
    level = ResidualLevel(DoubleHalfPixel(3), SubpixelResidual(PyramidTable(width=6, units=1), 16, 3, 0))
    stage = staging_folder(folder / name)
    inputs = {"previous": torch.rand(2, 3, 8, 8) * 2 - 1, "noise": torch.randn(2, 1, 16, 16)}
    files = write_graph(Graph(level.eval(), inputs, ("picture",), "level-0", any_size=True), stage)
    described = {"previous": [8, 8], "output": [16, 16], "factor": 2, "halo": level.halo, "files": files.model_dump()}
    upsampling = {"kind": "any-size", "max_factor": 8, "operator": "half-pixel"}
    write_manifest(stage, fields(name, 16, [], [described], upsampling=upsampling))
    publish(stage, folder / name)


@pytest.fixture(scope="session")
def double_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the any-size bundle."""
    folder = tmp_path_factory.mktemp("doubles")
    make_tiny_double(folder)
    return folder


@pytest.fixture
async def upsampler(
    client_with: ClientFactory, bundle_folder: Path, double_folder: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """The application over all tiny bundles."""
    async with client_with(bundles=(bundle_folder, double_folder)) as client:
        yield client


@pytest.fixture
def picture() -> bytes:
    """A 48x36 photograph as PNG."""
    return saved(photo(), "PNG")


def noisy(width: int, height: int) -> np.ndarray:
    """A picture full of detail, uint8 [height, width, 3]."""
    return np.random.RandomState(width * height).randint(0, 256, (height, width, 3)).astype(np.uint8)
