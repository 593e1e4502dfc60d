"""A tiny picture set, and trainers over it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import tests.onnx_registry  # noqa: F401
from tests.training.pictures import make_pictures, tiny_overrides
from training.data.dataset import load_dataset
from training.recipes.resolve import resolve
from training.run import run_folder
from training.run.loop import Trainer

TrainerFactory = Callable[..., Trainer]


@pytest.fixture(scope="session")
def picture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 pictures in two class folders."""
    return make_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def trainer(picture_folder: Path, tmp_path: Path) -> TrainerFactory:
    """`trainer(run__steps=3)`: a trainer of dcgan-modern on the tiny set, in its own run folder."""
    return trainers_in(tmp_path, picture_folder)


def trainers_in(folder_of_runs: Path, pictures: Path) -> TrainerFactory:
    """What the fixture `trainer` is; for fixtures that serve a whole module."""
    torch.set_num_threads(1)

    def make(recipe: str = "dcgan-modern", folder: str = "run", **overrides: object) -> Trainer:
        wish = resolve(recipe, tiny_overrides(pictures, **overrides))
        dataset, _ = load_dataset(wish.data)
        made = Trainer(wish, dataset, run_folder.at(folder_of_runs / folder, wish))
        made.resume()
        return made

    return make
