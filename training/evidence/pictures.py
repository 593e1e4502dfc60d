"""docs/evidence/pictures.md by one command: `python -m training.evidence.pictures [FOLDER...]`.

Scores every bundle that samples, in the shipped folder or in any other, against the real pictures its recipe names, as
`ganymede evaluate` does with 2,500 samples. What was measured is kept in pictures.jsonl beside the page, by the weights' sha256,
so the command can be stopped and run again; `--stage before` marks what later bundles are compared with.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import typer

from models.bundle import MANIFEST_NAME, Bundle, read_bundle
from training.classifiers.classifier import Classifier, load_classifier
from training.evaluate import distances
from training.evaluate.extractors import from_classifier
from training.evaluate.lite2_scores import COUNT, Reference, lite2_scores, reference
from training.evaluate.material import Material, Plan, draw, gather
from training.evaluate.suite import told_by_lines
from training.evidence.facts import Fact, Facts, weights_of
from training.evidence.pictures_page import write_page
from training.recipes.resolve import from_tree
from training.recipes.tables import DataTable

PAGE = Path("docs/evidence/pictures.md")
EXPORTS = Path("models/exports")
AGREEMENT_SAMPLES = 5000
ROWS = 2000  # of precision and recall by a classifier, as `ganymede evaluate` takes them


def data_of(bundle: Bundle, root: Path | None) -> DataTable:
    """How the bundle's pictures were read; `root`: where the data sets lie here, each in a folder of its name."""
    table = from_tree(bundle.manifest.provenance.recipe).data
    return table if root is None else table.model_copy(update={"path": str(root / Path(table.path).name)})


class Scorer:
    """Scores bundles one after another; real pictures' features are kept while the data set stays the same."""

    def __init__(self, root: Path | None, classifiers: Path | None) -> None:
        self.root, self.classifiers = root, classifiers
        self._of = ""
        self._real: Reference | None = None

    def scores(self, bundle: Bundle) -> Fact:
        """Every score by name, the protocol of the distance, and what the bundle has seen."""
        table = data_of(bundle, self.root)
        material = gather(bundle, table, Plan(samples=COUNT))
        found = list(lite2_scores(material, self._reference(material, table)))
        facts = bundle.manifest.provenance
        return {
            "bundle": bundle.reference,
            "weights": weights_of(bundle),
            "images_seen": facts.images_seen,
            "protocol": found[0].protocol,
            **{score.name: score.value for score in (*found, told_by_lines(material, COUNT))},
            **self._by_classifier(material, table),
        }

    def _reference(self, material: Material, table: DataTable) -> Reference:
        image = material.bundle.manifest.image
        key = f"{image.height}x{image.width} {image.channels} {table.model_dump_json()}"
        if self._real is None or key != self._of:
            self._of, self._real = key, reference(material)
        return self._real

    def _by_classifier(self, material: Material, table: DataTable) -> Fact:
        """What a classifier of the real set says; nothing where there is none. Agreement only of labelled bundles."""
        classifier, file = self._classifier(table)
        if classifier is None:
            return {}
        extract = from_classifier(classifier, file).extract
        real, fake = extract(material.real(COUNT)).features, extract(material.fake).features
        precision, recall = distances.precision_recall(real[:ROWS], fake[:ROWS])
        found: Fact = {"classifier_accuracy": classifier.accuracy, "cls_frechet": distances.frechet(real, fake)}
        found |= {"cls_precision": precision, "cls_recall": recall}
        if material.asked is not None and classifier.classes == material.bundle.manifest.labels:
            pictures, asked = draw(material.bundle, AGREEMENT_SAMPLES, 0)
            assert asked is not None
            found["label_agreement"] = float((classifier.predict(pictures) == asked).float().mean())
        return found

    def _classifier(self, table: DataTable) -> tuple[Classifier | None, Path | None]:
        file = None if self.classifiers is None else self.classifiers / f"{Path(table.path).stem}.safetensors"
        return (load_classifier(file), file) if file is not None and file.is_file() else (None, None)


def bundles_in(folders: list[Path]) -> Iterator[Bundle]:
    """Every bundle that makes pictures of its own, by data set, so that real pictures are read once."""
    every = [read_bundle(file.parent) for folder in folders for file in folder.glob(f"*/{MANIFEST_NAME}")]
    found = [bundle for bundle in every if bundle.manifest.samples and bundle.manifest.provenance.recipe]
    yield from sorted(found, key=lambda bundle: (bundle.manifest.provenance.dataset, bundle.manifest.image.height))


def main(
    folders: Annotated[list[Path] | None, typer.Argument(help="Folders of bundles (the shipped one).")] = None,
    stage: Annotated[str, typer.Option(help="'before' or 'now': which column of the goals it fills.")] = "now",
    only: Annotated[list[str] | None, typer.Option(help="Names of bundles to measure now.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the data sets, where recipes name another.")] = None,
    classifiers: Annotated[
        Path | None,
        typer.Option(help="Folder of DATASET.safetensors that `classifier train` wrote: cls_ scores, label agreement."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The page; facts are kept beside it.")] = PAGE,
) -> None:
    """Measure what is missing and write the page."""
    torch.set_num_threads(1)
    facts, scorer = Facts(out.with_suffix(".jsonl")), Scorer(data, classifiers)
    for bundle in bundles_in(folders or [EXPORTS]):
        if not only or bundle.name in only:
            facts.measure(f"{stage}/{bundle.name}", lambda: scorer.scores(bundle), of=weights_of(bundle))  # noqa: B023
            typer.echo(f"{bundle.reference}: {facts.get(f'{stage}/{bundle.name}')}")
            write_page(out, facts)
    write_page(out, facts)


if __name__ == "__main__":
    typer.run(main)
