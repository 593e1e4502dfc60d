"""Latent arithmetic on faces, chosen and judged by a classifier: writes docs/evidence/arithmetic.md and its pictures.

`python -m bench.arithmetic faces64 --attributes ../shared/data/faces/attributes.csv` (`make evidence-arithmetic`).
No picture is chosen by hand: exemplars are drawn at random from the seeds the classifier is sure of, with a fixed seed.
"""

import argparse
from pathlib import Path

from bench.arithmetic.page import write
from bench.arithmetic.trials import Laboratory
from training.classifiers.directions import Lens, study
from training.cli.directions import DEFAULT_NAMES, obtain_classifier, open_bundle

OUT = Path(__file__).parents[2] / "docs" / "evidence"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.arithmetic", description=__doc__)
    parser.add_argument("bundle", nargs="?", default="faces64")
    parser.add_argument("--attributes", type=Path, default=Path("../shared/data/faces/attributes.csv"))
    parser.add_argument("--classifier", type=Path, default=Path("runs/attributes-second.safetensors"))
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    bundle = open_bundle(options.bundle)
    names = tuple(name.partition("=")[2] or name for name in DEFAULT_NAMES)
    classifier = obtain_classifier(bundle, options.attributes, names, options.classifier)
    lens = Lens(bundle, classifier)
    print(write(Laboratory(lens, study(lens, options.samples, print)), options.out))


if __name__ == "__main__":
    main()
