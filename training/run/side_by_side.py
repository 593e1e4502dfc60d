"""LAPGAN's levels side by side: one process a level, each learning from real pictures alone, then one run of them all.

Levels of such a run need nothing of each other (LAPGAN, section 3), so the joined run is, to the rounding of convolutions,
the run that one process would have made.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from training.errors import RecipeError, RunFolderError
from training.recipes.recipe import Recipe
from training.run import checkpoint
from training.run.run_folder import RunFolder


def sizes_of(recipe: Recipe, levels: str) -> tuple[int, ...]:
    """Sizes of "all" or of level numbers such as "0,2", coarsest first. Raises RecipeError."""
    sizes = recipe.pyramid.sizes[1:] if recipe.pyramid.any_size else recipe.pyramid.sizes
    if recipe.algorithm != "lapgan":
        raise RecipeError(f"'{recipe.name}' has no levels: --levels and --parallel belong to LAPGAN recipes")
    if levels == "all":
        return sizes
    numbers = [part.strip() for part in levels.split(",")]
    if not all(number.isdigit() and int(number) < len(sizes) for number in numbers):
        raise RecipeError(f"--levels takes 'all' or numbers from 0 (the coarsest) to {len(sizes) - 1}, not '{levels}'")
    return tuple(sizes[int(number)] for number in numbers)


def check_independent(recipe: Recipe) -> None:
    """Raises RecipeError when levels of this recipe learn from each other."""
    if recipe.pyramid.generated_share:
        raise RecipeError(
            "levels that learn from generated pictures need the coarser ones in the same process: "
            "leave out --parallel, or set pyramid.generated_share=0"
        )


def train_side_by_side(recipe: Recipe, arguments: Sequence[str], folder: RunFolder, sizes: Sequence[int]) -> None:
    """One process a level, with the command line's `arguments` (recipe and overrides); then their runs joined.

    Raises RunFolderError naming the levels whose process failed; the others keep what they learnt.
    """
    check_independent(recipe)
    parts = {size: RunFolder(folder.path / f"level-{size}") for size in sizes}
    running = {size: subprocess.Popen(_command(arguments, size, part.path)) for size, part in parts.items()}
    failed = [size for size, process in running.items() if process.wait() != 0]
    if failed:
        raise RunFolderError(f"the levels of {', '.join(map(str, failed))} pixels stopped with an error; see above")
    join(parts, folder)


def join(parts: Mapping[int, RunFolder], folder: RunFolder) -> Path:
    """One checkpoint in `folder` with each size's nets from its own run. Raises RunFolderError where steps differ."""
    saved = {size: checkpoint.load(part.checkpoint_path()) for size, part in parts.items()}
    steps = {found.step for found in saved.values()}
    if len(steps) != 1:
        done = ", ".join(f"{size}: {found.step}" for size, found in saved.items())
        raise RunFolderError(
            f"the levels stopped at different steps ({done}); resume the shorter ones, then join again"
        )
    first = next(iter(saved.values()))
    algorithm = {**first.algorithm, **{str(size): found.algorithm[str(size)] for size, found in saved.items()}}
    facts = next(iter(parts.values())).facts()
    folder.write_facts(facts["classes"], facts["pictures"])
    seconds = max(found.seconds for found in saved.values())
    return checkpoint.save(folder.checkpoints, checkpoint.Checkpoint(first.step, seconds, algorithm), keep=1)


def _command(arguments: Sequence[str], size: int, folder: Path) -> list[str]:
    program = [sys.executable, "-m", "training.cli", "train", *arguments]
    return [*program, f"pyramid.train=[{size}]", "--run", str(folder)]
