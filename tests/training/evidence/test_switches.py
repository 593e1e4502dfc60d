"""The switches of the modern recipes, one changed at a time: what is compared, and the page that says what it gave."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from training.evidence.facts import Facts
from training.evidence.switches import VARIANTS, main, recipe, write_page
from training.recipes.recipe import Recipe


def test_a_variant_differs_in_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each recipe is that of the first row but for the settings of its own, though a trial would choose now this, now that."""
    trials = itertools.cycle(["bf16", "float32"])
    monkeypatch.setattr(
        "training.compute.precision.resolve_precision", lambda wish, _: next(trials) if wish == "auto" else wish
    )
    whole = flat(recipe("as it is", 0, 5, tmp_path))
    for variant, settings in VARIANTS.items():
        found = flat(recipe(variant, 0, 5, tmp_path))
        assert {key for key in whole if found[key] != whole[key]} == set(settings), variant


def flat(chosen: Recipe) -> dict[str, Any]:
    """Every setting by its whole key: `loss.kind`, and `algorithm`, which is in no table."""
    tables = {key: value if isinstance(value, dict) else {"": value} for key, value in chosen.model_dump().items()}
    return {f"{table}.{key}".rstrip("."): value for table, rows in tables.items() for key, value in rows.items()}


def test_a_run_is_measured_once(picture_folder: Path, tmp_path: Path) -> None:
    """One variant of one seed is trained and scored; the second call finds it known."""
    page = tmp_path / "switches.md"
    for _ in range(2):
        main(steps=1, samples_drawn=8, only="no penalties.0", data=picture_folder, out=page)
    (line,) = [json.loads(line) for line in page.with_suffix(".jsonl").read_text().splitlines()]
    assert line["key"] == "no penalties.0"
    assert line["frechet"] > 0
    assert f"| no penalties | {line['frechet']:.1f} (n=1) |" in page.read_text()


def test_the_page_gives_means_over_seeds(tmp_path: Path) -> None:
    """Three seeds are one row with mean and deviation; a variant that did not run has none."""
    facts = Facts(tmp_path / "facts.jsonl")
    common = {"precision": 0.5, "recall": 0.1, "seconds": 60.0, "steps": 500, "batch": 32, "samples": 1500}
    facts.known = {f"no penalties.{seed}": {**common, "frechet": 100.0 + seed} for seed in range(3)}
    write_page(tmp_path / "page.md", facts)
    text = (tmp_path / "page.md").read_text()
    assert "500 steps of 32 pictures, 1,500 samples" in text
    assert "| no penalties | 101.0 ± 1.0 (n=3) | 0.50 ± 0.00 (n=3) |" in text
    assert "a mapped latent" not in text
