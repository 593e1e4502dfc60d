"""Puts measured scores into a finished bundle: manifest and card are rewritten together, the weights stay."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from models.bundle import Bundle, publish, read_bundle, staging_folder, write_manifest
from models.manifest import Score
from training.export.card import write_card


def rescore(folder: Path, scores: Sequence[Score]) -> Bundle:
    """The bundle with these scores in place of earlier ones of the same name; replaced in one rename."""
    bundle = read_bundle(folder)
    new = {score.name for score in scores}
    kept = tuple(score for score in bundle.manifest.scores if score.name not in new)
    manifest = bundle.manifest.model_copy(update={"scores": (*kept, *scores)})
    staging = staging_folder(folder)
    try:
        shutil.copytree(folder, staging, dirs_exist_ok=True)
        write_card(staging / "README.md", manifest)
        write_manifest(staging, dict(manifest))
        return publish(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
