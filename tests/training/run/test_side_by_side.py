"""Levels trained apart and joined are the levels trained together."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from training.data.dataset import load_dataset
from training.errors import RecipeError, RunFolderError
from training.recipes.recipe import Recipe
from training.recipes.resolve import resolve
from training.run import run_folder
from training.run.loop import Trainer
from training.run.run_folder import RunFolder
from training.run.side_by_side import check_independent, join, sizes_of

SMALL = ["pyramid.base_width=8", "pyramid.width=4", "pyramid.discriminator_width=4", "run.batch=4", "run.device=cpu"]


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """The released code's recipe, tiny, with its dropout, on twelve pictures."""
    random = torch.Generator().manual_seed(0)
    for k in range(12):
        pixels = torch.randint(0, 256, (32, 32, 3), generator=random, dtype=torch.uint8).numpy()
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
    return resolve("lapgan-released", [*SMALL, f"data.path={tmp_path}", "run.steps=2"])


def trained(recipe: Recipe, folder: Path, sizes: tuple[int, ...] = (), steps: int = 2) -> RunFolder:
    pyramid = recipe.pyramid.model_copy(update={"train": sizes})
    run = recipe.run.model_copy(update={"steps": steps})
    wish = recipe.model_copy(update={"pyramid": pyramid, "run": run})
    at = run_folder.at(folder, wish)
    Trainer(wish, load_dataset(wish.data)[0], at).run()
    return at


def test_levels_apart_and_joined_are_levels_together(recipe: Recipe, tmp_path: Path) -> None:
    """Dropout included, to the rounding of convolutions: which levels share a process changes nothing."""
    together = trained(recipe, tmp_path / "together")
    parts = {size: trained(recipe, tmp_path / f"level-{size}", (size,)) for size in recipe.pyramid.sizes}
    joined = run_folder.at(tmp_path / "joined", recipe)
    join(parts, joined)
    one, other = (torch.load(f.checkpoint_path(), weights_only=True)["algorithm"] for f in (together, joined))
    for size in recipe.pyramid.sizes:
        for net in ("generator", "discriminator", "average"):
            mine, theirs = one[str(size)][net], other[str(size)][net]
            assert mine.keys() == theirs.keys()
            assert all(torch.allclose(mine[key], theirs[key], atol=1e-3) for key in mine)


def test_levels_of_unequal_length_are_not_joined(recipe: Recipe, tmp_path: Path) -> None:
    """The refusal says how far each got."""
    parts = {8: trained(recipe, tmp_path / "a", (8,)), 16: trained(recipe, tmp_path / "b", (16,), steps=1)}
    with pytest.raises(RunFolderError, match="8: 2, 16: 1"):
        join(parts, run_folder.at(tmp_path / "joined", recipe))


def test_which_levels(recipe: Recipe) -> None:
    """Numbers count from the coarsest; other families have no levels; mixed training stays in one process."""
    assert sizes_of(recipe, "all") == (8, 16, 32)
    assert sizes_of(recipe, "0,2") == (8, 32)
    for wrong in ("3", "x", "", "-1"):
        with pytest.raises(RecipeError):
            sizes_of(recipe, wrong)
    with pytest.raises(RecipeError, match="no levels"):
        sizes_of(resolve("dcgan-modern", ["data.path=x", "data.size=32"]), "all")
    with pytest.raises(RecipeError, match="generated"):
        check_independent(resolve("lapgan-modern"))
