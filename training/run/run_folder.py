"""A run's folder: numbered, holding the resolved recipe, stats, grids and checkpoints; found again by number or name."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.errors import RunFolderError
from training.recipes.recipe import Recipe
from training.recipes.resolve import resolve, to_toml
from training.run import checkpoint
from training.run.scoring import read_best

MAY_CHANGE = (
    "steps",
    "max_minutes",
    "log_every",
    "snapshot_minutes",
    "snapshot_every",
    "keep_checkpoints",
    "watch_samples",
    "on_collapse",
)


class RunFolder:
    """Paths inside one run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.toml"

    @property
    def stats_file(self) -> Path:
        """One JSON object per line."""
        return self.path / "stats.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Folder of the checkpoint with the best score."""
        return self.path / "best"

    @property
    def grids(self) -> Path:
        """Folder of fixed-seed grids."""
        return self.path / "grids"

    def recipe(self) -> Recipe:
        """The recipe this run was started with."""
        if not self.recipe_file.is_file():
            raise RunFolderError(f"'{self.path}' is not a run folder: it has no recipe.toml")
        return resolve(str(self.recipe_file))

    @property
    def page(self) -> Path:
        """The page that shows how the run goes, one file."""
        return self.path / "run.html"

    @property
    def facts_file(self) -> Path:
        """What the data set turned out to be."""
        return self.path / "facts.json"

    def write_facts(self, classes: Sequence[str], pictures: int) -> None:
        """Remembers what export must know without reading the pictures again."""
        self.facts_file.write_text(json.dumps({"classes": list(classes), "pictures": pictures}), encoding="utf-8")

    def facts(self) -> dict[str, Any]:
        """`classes` (names, empty when unconditional) and `pictures` (count)."""
        try:
            facts: dict[str, Any] = json.loads(self.facts_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunFolderError(
                f"'{self.path}' has no readable facts.json; resume the run once to write it"
            ) from error
        return facts

    def latest_step(self) -> int | None:
        """The newest checkpoint's step, or None."""
        steps = checkpoint.steps_in(self.checkpoints)
        return steps[-1] if steps else None

    def checkpoint_path(self, step: int | None = None) -> Path:
        """The checkpoint of that step, kept for its age or its score, or the newest."""
        chosen = self.latest_step() if step is None else step
        places = [checkpoint.path_of(folder, chosen) for folder in (self.checkpoints, self.best) if chosen is not None]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise RunFolderError(f"'{self.path}' has no checkpoint{'' if step is None else f' of step {step}'}")
        return found

    def best_step(self) -> int | None:
        """The step with the best score, or the newest where none was scored; None before the first checkpoint."""
        best = read_best(self.best)
        return self.latest_step() if best is None else best.step


def create(parent: Path, recipe: Recipe) -> RunFolder:
    """A new folder `NNN-name` under the parent, with the resolved recipe in it."""
    parent.mkdir(parents=True, exist_ok=True)
    taken = [int(match[1]) for entry in parent.iterdir() if (match := re.match(r"(\d+)-", entry.name))]
    for number in range(max(taken, default=-1) + 1, 100_000):
        folder = RunFolder(parent / f"{number:03d}-{recipe.name}")
        try:
            folder.path.mkdir()
        except FileExistsError:
            continue
        folder.recipe_file.write_text(to_toml(recipe), encoding="utf-8")
        return folder
    raise RunFolderError(f"no free run number under '{parent}'")


def at(path: Path, recipe: Recipe) -> RunFolder:
    """The folder at exactly this path: made with the recipe, or opened when it holds a run of the same recipe.

    Limits and intervals (MAY_CHANGE) may differ and are written into it: a run can be made longer.
    """
    folder = RunFolder(path)
    if folder.recipe_file.is_file():
        _refuse_another(folder, recipe)
    path.mkdir(parents=True, exist_ok=True)
    folder.recipe_file.write_text(to_toml(recipe), encoding="utf-8")
    return folder


def _refuse_another(folder: RunFolder, recipe: Recipe) -> None:
    here = folder.recipe()
    limits = {key: getattr(here.run, key) for key in MAY_CHANGE}
    if here != recipe.model_copy(update={"run": recipe.run.model_copy(update=limits)}):
        allowed = ", ".join(f"run.{key}" for key in MAY_CHANGE)
        raise RunFolderError(f"'{folder.path}' holds a run of another recipe; of a begun run only {allowed} may change")
