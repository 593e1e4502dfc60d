"""All scores of one bundle: samples drawn as a server draws them, against the real pictures of a data set."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from models.bundle import Bundle
from models.manifest import Score
from training.classifiers.classifier import Classifier
from training.data.dataset import Dataset
from training.evaluate import classes, distances, neighbours
from training.evaluate.extractors import Extractor
from training.evaluate.lite2_scores import lite2_scores
from training.evaluate.material import Material, Plan, gather
from training.evaluate.semi_supervised import error_score
from training.pretrained import lite2
from training.run import samples as sheets

SHEET_ROWS = 16
LINEAR_SIDE = 8


def evaluate(
    material: Material,
    extractors: Sequence[Extractor],
    classifier: Classifier | None,
    closest_sheet: Path | None = None,
) -> Iterator[Score]:
    """Every score this material and these extractors allow, one after another."""
    if lite2.available():
        yield from lite2_scores(material, sheet=closest_sheet)
    for extractor in extractors:
        yield from _by_extractor(material, extractor)
    yield from _by_pixels(material)
    if classifier is not None:
        yield from _by_classes(material, classifier)
    if material.asked is not None and material.train.labels is not None:
        yield from _by_learning(material)
    discriminator = material.bundle.manifest.discriminator
    if discriminator is not None and discriminator.kind == "classes" and discriminator.classes == material.test.classes:
        yield error_score(material.bundle, material.test)


def _by_extractor(material: Material, extractor: Extractor) -> Iterator[Score]:
    plan = material.plan
    real, fake = extractor.extract(material.real(plan.real)), extractor.extract(material.fake)
    base = f"{extractor.identity}; {_counts(material, plan.real)}"
    score, distance, kernel = extractor.names
    splits = 10 if len(material.fake) >= 1000 else 1
    mean, spread = distances.class_score(fake.logits, splits, plan.seed)
    parts = f"{splits} parts, standard deviation {spread:.3f}" if splits > 1 else "1 part"
    yield Score(name=score, value=mean, protocol=f"{base}; {parts}")
    own, _ = distances.class_score(real.logits, splits, plan.seed)
    yield Score(name=f"{score}_of_real", value=own, protocol=f"{base}; the same score of the real pictures")
    yield Score(name=distance, value=distances.frechet(real.features, fake.features), protocol=base)
    mean, spread = distances.kernel(real.features, fake.features, seed=plan.seed)
    yield Score(name=kernel, value=mean, protocol=f"{base}; 50 subsets, standard deviation {spread:.5f}")
    rows = plan.rows
    precision, recall = distances.precision_recall(real.features[:rows], fake.features[:rows])
    manifold = f"{extractor.identity}; k=3, {rows} real test pictures and {rows} samples at most, seed {plan.seed}"
    yield Score(name=f"{_prefix(extractor)}precision", value=precision, protocol=manifold)
    yield Score(name=f"{_prefix(extractor)}recall", value=recall, protocol=manifold)


def _prefix(extractor: Extractor) -> str:
    return extractor.names[0].removesuffix("score") if extractor.names[0].endswith("score") else ""


def _by_pixels(material: Material) -> Iterator[Score]:
    plan = material.plan
    fake, test = material.fake[: plan.rows].flatten(1), material.real(plan.rows).flatten(1)
    real_right, fake_right = neighbours.two_sample_accuracy(test, fake)
    counts = f"pixels; {len(test)} real test pictures, {len(fake)} samples, seed {plan.seed}"
    yield Score(name="nn_two_sample", value=(real_right + fake_right) / 2, protocol=f"{counts}; 0.5: not told apart")
    yield Score(name="nn_two_sample_real", value=real_right, protocol=f"{counts}; accuracy on the real ones")
    yield told_by_lines(material, plan.rows)
    train = material.real(len(material.train), "train").flatten(1)
    ours, _ = neighbours.nearest(fake[:500], train)
    theirs, _ = neighbours.nearest(test[:500], train)
    memory = f"pixels; median distance to {len(train)} training pictures, 500 samples over 500 real test pictures"
    if float(theirs.median()) > 0:  # else a set without a test split: its pictures are their own neighbours
        ratio = float(ours.median() / theirs.median())
        yield Score(name="nn_distance_ratio", value=ratio, protocol=f"{memory}; far below 1: copies, seed {plan.seed}")
    yield _parzen(material, test)


def told_by_lines(material: Material, rows: int) -> Score:
    """How many pictures a linear classifier of their coarse pixels tells: things that are painted at one place each time."""
    real, fake = material.real(rows), material.fake[:rows]
    if material.mirrored:
        real = torch.where(torch.arange(len(real)).view(-1, 1, 1, 1) % 2 == 0, real, real.flip(3))
    coarse = [F.adaptive_avg_pool2d(pictures, LINEAR_SIDE).flatten(1) for pictures in (real, fake)]
    counts = f"{len(real)} real test pictures, {len(fake)} samples, seed {material.plan.seed}"
    return Score(
        name="linear_two_sample",
        value=neighbours.linear_two_sample_accuracy(*coarse),
        protocol=f"{LINEAR_SIDE}x{LINEAR_SIDE} means of pixels; {counts}; learned from two thirds; 0.5: not told apart",
    )


def _parzen(material: Material, test: Tensor) -> Score:
    pictures, rows = (material.fake.flatten(1) + 1) / 2, (test + 1) / 2
    half = len(rows) // 2
    value, error, width = neighbours.parzen(pictures, rows[:half], rows[half:])
    protocol = f"Gaussian windows of {width} on {len(pictures)} samples, pixels 0 to 1, {half} test pictures, "
    return Score(
        name="parzen_log_likelihood", value=value, protocol=f"{protocol}standard error {error:.1f}; historical"
    )


def _by_classes(material: Material, classifier: Classifier) -> Iterator[Score]:
    predicted = classifier.predict(material.fake)
    covered, distance = classes.classes_covered(predicted, len(classifier.classes))
    counts = f"{len(predicted)} samples, seed {material.plan.seed}"
    protocol = f"{classifier.name}, {classifier.accuracy:.2%} right on real test pictures; {counts}"
    yield Score(name="classes_covered", value=float(covered), protocol=f"{protocol}; classes with at least 1 %")
    yield Score(name="class_imbalance", value=distance, protocol=f"{protocol}; total variation from equal shares")
    if material.asked is not None:
        agreed = float((predicted == material.asked).float().mean())
        yield Score(name="label_agreement", value=agreed, protocol=f"{protocol}; the label asked for, labels in turn")


def _by_learning(material: Material) -> Iterator[Score]:
    plan, asked = material.plan, material.asked
    assert asked is not None
    assert material.test.labels is not None
    pixels = ((material.fake.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    learned = classes.trained_on_samples(
        Dataset(pixels, asked, material.test.classes), material.test, plan.epochs, plan.seed
    )
    protocol = (
        f"LeNet trained {plan.epochs:g} epochs on {len(asked)} samples alone, tested on {len(material.test)} real"
    )
    yield Score(name="trained_on_samples", value=learned, protocol=f"{protocol} test pictures, seed {plan.seed}")
    some = torch.arange(min(plan.rows, len(material.test)))
    batch = material.test.batch(some)
    accuracy = classes.neighbour_classifier(
        material.fake.flatten(1), asked, batch.pictures.flatten(1), material.test.labels[some]
    )
    protocol = f"1-NN over {len(asked)} samples, pixels, {len(some)} real test pictures, seed {plan.seed}"
    yield Score(name="nn_classifier", value=accuracy, protocol=protocol)


def _counts(material: Material, real: int) -> str:
    shown = min(real, len(material.test))
    return f"{shown} real test pictures, {len(material.fake)} samples, seeds from {material.plan.seed}, ONNX Runtime"


def neighbour_sheet(material: Material, path: Path, extractor: Extractor | None = None) -> None:
    """Rows of a sample, its 4 nearest training pictures by pixels, and, with an extractor, its 4 nearest by features."""
    fake, train = material.fake[:SHEET_ROWS], material.train.batch(torch.arange(len(material.train))).pictures
    columns = [fake.unsqueeze(1), train[_closest(fake.flatten(1), train.flatten(1))]]
    if extractor is not None:
        columns.append(train[_closest(extractor.extract(fake).features, extractor.extract(train).features)])
    rows = torch.cat(columns, 1)
    sheets.save_grid(path, rows.flatten(0, 1), rows.shape[1])


def _closest(queries: Tensor, among: Tensor) -> Tensor:
    return torch.cdist(queries, among).topk(4, largest=False).indices


def append(path: Path, bundle: Bundle, score: Score) -> None:
    """One line of scores.jsonl."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fact = {"bundle": bundle.reference, **score.model_dump()}
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(fact, ensure_ascii=False) + "\n")


__all__ = ["Material", "Plan", "append", "evaluate", "gather", "neighbour_sheet"]
