"""One command scores a folder of bundles once each and writes the page with the goals beside what was reached."""

import json
from pathlib import Path

import pytest
import torch

from models.bundle import read_bundle
from tests.training.conftest import TrainerFactory
from training.data.dataset import Dataset
from training.evaluate.material import Material, Plan
from training.evidence.facts import Facts
from training.evidence.pictures import Scorer, data_of, main
from training.evidence.pictures_page import write_page
from training.export.bundle import export_run


@pytest.mark.evidence
def test_a_trained_bundle_gets_its_row_and_is_not_measured_twice(trainer: TrainerFactory, tmp_path: Path) -> None:
    """A run exported into a folder is scored against its own data; the second call finds everything known."""
    run = trainer(run__steps=1, data__labels="none")
    run.run()
    bundle = export_run(run.folder, tmp_path / "bundles", "faces64")
    page = tmp_path / "evidence" / "pictures.md"
    for _ in range(2):
        main([tmp_path / "bundles"], stage="now", out=page)
    lines = [json.loads(line) for line in page.with_suffix(".jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == ["now/faces64"]
    assert lines[0]["bundle"] == bundle.reference
    assert lines[0]["lite2_frechet"] > lines[0]["lite2_frechet_floor"]
    assert "24 real pictures" in lines[0]["protocol"]
    assert f"| `{bundle.reference}` | 8 |" in page.read_text()


def test_real_pictures_are_kept_for_those_who_learned_from_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle that left some pictures out is compared with others than one that learned from all of them."""
    monkeypatch.setattr("training.evidence.pictures.reference", lambda material: object())
    scorer, bundle = Scorer(None, None), read_bundle(Path("models/exports/faces64"))
    table, nothing = data_of(bundle, None), torch.zeros(0)
    data = Dataset(nothing, None, (), False)
    material = Material(bundle, nothing, None, data, data, Plan())
    kept = scorer._reference(material, table)
    assert scorer._reference(material, table) is kept
    assert scorer._reference(material, table.model_copy(update={"holdout": 10})) is not kept


def test_goals_are_reached_or_not(tmp_path: Path) -> None:
    """Distances must be low enough, agreement high enough, a third of before is a third; what is unknown stays open."""
    facts = Facts(tmp_path / "pictures.jsonl")
    common = {"bundle": "b@1", "images_seen": 5, "protocol": "EfficientNet-lite2 0.1.0; 2,500 samples"}
    facts.known = {
        "before/cifar32-lapgan": {**common, "lite2_frechet": 300.0},
        "now/cifar32-lapgan": {**common, "lite2_frechet": 99.0},
        "now/faces64": {**common, "lite2_frechet": 25.5},
        "now/mnist-cgan": {**common, "label_agreement": 0.98, "classifier_accuracy": 0.99, "cls_recall": 0.6},
    }
    write_page(tmp_path / "page.md", facts)
    text = (tmp_path / "page.md").read_text()
    assert "| cifar32-lapgan | Fréchet | 300.0 | 99.0 | ≤ a third of before | yes |" in text
    assert "| faces64 | Fréchet | – | 25.5 | ≤ 25 | no |" in text
    assert "| mnist-cgan | label agreement | – | 0.98 | ≥ 97 % | yes |" in text
    assert "| mnist-cgan | cls_recall | – | 0.6 | ≥ 0.7 | no |" in text
    assert "| cifar32 | Fréchet | – | – | ≤ a third of cifar32-lapgan before | – |" in text
