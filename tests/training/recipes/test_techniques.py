"""Techniques are switched on where they work and refused where they would be ignored; the docs say the same."""

from typing import Any

import pytest

from tests.conftest import ROOT
from training.errors import RecipeError
from training.recipes.resolve import resolve
from training.recipes.techniques import TECHNIQUES, Technique

RECIPES = {"dcgan": "dcgan-modern", "gan": "mnist-gan-logistic", "improved_gan": "mnist-ssl", "lapgan": "lapgan-modern"}
ON: dict[str, Any] = {
    "technique.feature_matching": "l1", "technique.minibatch_kernels": 8, "technique.historical": 0.1,
    "loss.real_target": 0.9, "generator.norm": "virtual", "discriminator.norm": "weight", "technique.input_noise": 0.2,
}  # fmt: skip


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.name)
@pytest.mark.parametrize("algorithm", RECIPES)
def test_a_technique_is_used_or_refused(technique: Technique, algorithm: str) -> None:
    """Nobody trains for a night with a switch that does nothing."""
    wish = [f"{technique.key}={ON[technique.key]}"]
    if algorithm == "lapgan":
        wish.append("loss.kind=nonsaturating")
    if algorithm in technique.algorithms:
        assert technique.wanted(resolve(RECIPES[algorithm], wish))
    else:
        with pytest.raises(RecipeError, match=technique.name):
            resolve(RECIPES[algorithm], wish)


def test_the_page_lists_what_the_code_knows() -> None:
    """docs/improved-techniques.md: names, sections, keys and algorithms as in `training.recipes.techniques`."""
    page = (ROOT / "docs" / "improved-techniques.md").read_text(encoding="utf-8")
    for known in TECHNIQUES:
        row = f"| {known.name} | {known.section} | `{known.key}` | {', '.join(known.algorithms)} |"
        assert row in page
