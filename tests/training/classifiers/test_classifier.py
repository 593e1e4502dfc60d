"""The self-trained classifier: learns, is saved, and judges a conditional bundle."""

from pathlib import Path

import pytest
import torch

from tests.training.conftest import TrainerFactory
from training.classifiers.classifier import label_agreement, load_classifier, train_classifier
from training.data.dataset import load_dataset
from training.errors import DataError
from training.export.bundle import export_run
from training.recipes.tables import DataTable


def test_it_learns_and_judges(picture_folder: Path, tmp_path: Path, trainer: TrainerFactory) -> None:
    """Discs are told from bars; an untrained generator agrees about half of the time; the saved file says the same."""
    real, _ = load_dataset(DataTable(path=str(picture_folder), size=16, labels="class"))
    classifier = train_classifier(real, real, epochs=60)
    assert classifier.accuracy > 0.9
    classifier.save(tmp_path / "c.safetensors")
    again = load_classifier(tmp_path / "c.safetensors")
    run = trainer(run__steps=1)
    run.run()
    bundle = export_run(run.folder, tmp_path, "b")
    score = label_agreement(bundle, again, count=40)
    assert 0.2 <= score.value <= 0.8
    assert "40 samples" in score.protocol
    assert score == label_agreement(bundle, classifier, count=40)


def test_begun_with_pretrained_features_it_learns_from_few_pictures(
    picture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discs are told from bars; the saved file names its network and answers alike."""
    monkeypatch.setattr("training.classifiers.classifier.BATCH", 8)
    real, _ = load_dataset(DataTable(path=str(picture_folder), size=16, labels="class", flip=True))
    classifier = train_classifier(real, real, epochs=2, transfer=True)
    assert classifier.accuracy > 0.9
    classifier.save(tmp_path / "c.safetensors")
    again = load_classifier(tmp_path / "c.safetensors")
    pictures = real.batch(torch.arange(8)).pictures
    assert again.name == "fine-tuned EfficientNet-lite2"
    assert torch.equal(again.probabilities(pictures), classifier.probabilities(pictures))
    assert again.features(pictures).shape == (8, 1280)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    """A sentence, not a traceback."""
    (tmp_path / "c.safetensors").write_bytes(b"no")
    with pytest.raises(DataError, match="not a classifier"):
        load_classifier(tmp_path / "c.safetensors")
