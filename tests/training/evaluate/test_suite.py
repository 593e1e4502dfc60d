"""A tiny bundle scored from end to end; whose name a score may carry."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from models.bundle import Bundle, read_bundle
from training.classifiers.classifier import train_classifier
from training.data.dataset import load_dataset
from training.errors import EvaluationError
from training.evaluate import extractors
from training.evaluate.suite import Material, Plan, append, evaluate, gather, neighbour_sheet
from training.recipes.tables import DataTable

LITE2 = {
    "lite2_frechet",
    "lite2_frechet_floor",
    "lite2_kernel",
    "lite2_precision",
    "lite2_recall",
    "lite2_density",
    "lite2_coverage",
    "lite2_neighbour_ratio",
    "lite2_copies",
}
PLAN = Plan(samples=40, real=40, rows=30, epochs=1)


class StandIn(nn.Module):
    """The shape of an Inception file: bytes in, features and logits out."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.logits = nn.Linear(48, 6), nn.Linear(6, 4)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        small = nn.functional.adaptive_avg_pool2d(pictures.float() / 255.0, 4).flatten(1)
        features = self.features(small)
        return features, self.logits(features)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> DataTable:
    """Ninety pictures in three class folders, each class of one colour."""
    root, random = tmp_path_factory.mktemp("colours"), np.random.RandomState(0)
    for channel, name in enumerate(("red", "green", "blue")):
        (root / name).mkdir()
        for k in range(30):
            pixels = random.randint(0, 60, (16, 16, 3)).astype(np.uint8)
            pixels[..., channel] += 150
            Image.fromarray(pixels).save(root / name / f"{k}.png")
    return DataTable(path=str(root), labels="class", size=16)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("inception") / "stand-in.pt"
    torch.jit.trace(StandIn(), torch.zeros(2, 3, 16, 16, dtype=torch.uint8)).save(str(file))
    return file


@pytest.fixture(scope="module")
def material(bundle_folder: Path, table: DataTable) -> Material:
    return gather(read_bundle(bundle_folder / "tiny-labels"), table, PLAN)


def test_every_score_says_how_it_was_measured(material: Material, table: DataTable, tmp_path: Path) -> None:
    """All named scores come out finite, each with extractor, counts and seed, one line each in scores.jsonl."""
    real, _ = load_dataset(table)
    classifier = train_classifier(real, real, epochs=1)
    wanted = {
        "cls_score",
        "cls_score_of_real",
        "cls_frechet",
        "cls_kid",
        "cls_precision",
        "cls_recall",
        "nn_two_sample",
        "nn_two_sample_real",
        "linear_two_sample",
        "parzen_log_likelihood",
        "classes_covered",
        "class_imbalance",
        "label_agreement",
        "trained_on_samples",
        "nn_classifier",
        *LITE2,
    }  # fmt: skip; no nn_distance_ratio: this set has no test split
    found = list(evaluate(material, [extractors.from_classifier(classifier)], classifier))
    assert {score.name for score in found} == wanted
    for score in found:
        assert np.isfinite(score.value)
        assert any(word in score.protocol for word in ("LeNet", "pixels", "EfficientNet-lite2 0.1.0, weights sha256"))
        append(tmp_path / "scores.jsonl", material.bundle, score)
    lines = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert len(lines) == len(wanted)
    assert {line["bundle"] for line in lines} == {material.bundle.reference}


def test_scores_do_not_change_from_run_to_run(
    material: Material, stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bundle, data and seed give the same figures; without the extra `pretrained` there are no lite2_ ones."""
    monkeypatch.setattr("training.evaluate.suite.lite2.available", lambda: False)
    first, second = (list(evaluate(material, [extractors.from_inception(stand_in)], None)) for _ in range(2))
    assert first == second
    assert not any(score.name.startswith("lite2_") for score in first)


def test_only_the_published_weights_give_the_canonical_names(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file's scores are called custom_*; the file with the known fingerprint gives IS, FID and KID."""
    assert extractors.from_inception(stand_in).names == ("custom_score", "custom_frechet", "custom_kid")
    monkeypatch.setattr(extractors, "CANONICAL_PREFIX", extractors.fingerprint(stand_in)[:8])
    assert extractors.from_inception(stand_in).names == ("IS", "FID", "KID")


def test_grey_pictures_reach_inception_as_bytes_in_three_channels(stand_in: Path) -> None:
    """White is 255 in every channel."""
    grey, colour = torch.ones(2, 1, 16, 16), torch.ones(2, 3, 16, 16)
    extract = extractors.from_inception(stand_in).extract
    assert torch.equal(extract(grey).features, extract(colour).features)


def test_what_cannot_be_scored_is_refused(bundle_folder: Path, table: DataTable, tmp_path: Path) -> None:
    """A file that is no Inception, or none at all, is one sentence."""
    (tmp_path / "junk.pth").write_bytes(b"junk")
    for file in (tmp_path / "junk.pth", tmp_path / "absent.pth"):
        with pytest.raises(EvaluationError):
            extractors.from_inception(file)


def test_the_neighbour_sheet_shows_copies(material: Material, stand_in: Path, tmp_path: Path, tiny: Bundle) -> None:
    """Rows of a sample, four neighbours by pixels, four by features; a copied training picture is its own neighbour."""
    train = material.train.batch(torch.arange(16)).pictures
    copied = Material(tiny, train, None, material.test, material.train, PLAN)
    neighbour_sheet(copied, tmp_path / "sheet.png", extractors.from_inception(stand_in))
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (16 * 17 - 1, 9 * 17 - 1, 3)
    assert np.array_equal(sheet[:16, :16], sheet[:16, 17:33])
