"""Where a bundle's weights come from: recipe, seed, steps, data set, code version."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from models.manifest import Provenance
from training.recipes.recipe import Recipe


@dataclass(frozen=True)
class Trained:
    """What happened: the recipe, steps done, real pictures seen."""

    recipe: Recipe
    steps: int
    images_seen: int


def provenance(trained: Trained) -> Provenance:
    """The manifest's provenance of a training run."""
    recipe = trained.recipe
    return Provenance(
        dataset=recipe.data.name or Path(recipe.data.path).name,
        dataset_licence=recipe.data.licence or "not stated",
        licence=recipe.data.weights_licence,
        recipe=_without_folders(recipe).model_dump(mode="json"),
        seed=recipe.run.seed,
        steps=trained.steps,
        images_seen=trained.images_seen,
        code_version=code_version(),
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _without_folders(recipe: Recipe) -> Recipe:
    """The names of what the run began from and was judged by, without their places on this machine."""
    run = recipe.run.model_copy(update={"init_from": Path(recipe.run.init_from).name})
    matching = recipe.matching.model_copy(update={"attributes": Path(recipe.matching.attributes).name})
    return recipe.model_copy(update={"run": run, "matching": matching})


def code_version() -> str:
    """The installed version, with the commit where this is a git checkout."""
    try:
        version = metadata.version("ganymede")
    except metadata.PackageNotFoundError:
        version = "0"
    commit = _commit()
    return f"{version}+{commit}" if commit else version


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
