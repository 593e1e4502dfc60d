"""Which modern switch buys what: a recipe, then one thing of it changed at a time; `python -m training.evidence.switches`.

Faces of FairFace at 32x32, equal steps, three seeds; Fréchet distance and recall in features of EfficientNet-lite2, which no
training uses. Every fact is measured once and kept in docs/evidence/switches.jsonl; a later call measures what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import chain, product
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from training.compute.precision import with_hardware
from training.data.dataset import Dataset, load_dataset
from training.evaluate import distances
from training.evidence import quick
from training.evidence.facts import Facts, over_seeds
from training.pretrained import lite2
from training.recipes.recipe import Recipe
from training.recipes.resolve import resolve
from training.recipes.tables import DataTable
from training.run import samples

PAGE = Path("docs/evidence/switches.md")
DATA = Path("../shared/data/faces-fairface")
SEEDS = (0, 1, 2)
COUNT = 1500  # samples, and as many real pictures
# The arithmetic is fixed: chosen by a trial before each run, it could differ between two variants.
COMMON = {
    "data.size": "32",
    "generator.width": "32",
    "generator.residual": "false",
    "generator.refine": "false",
    "run.precision": "bf16",
}
# One switch each. On pixels the penalty's weight is the usual one: features are wide, and their gradients small. Gates are
# not among them: they join maps of 4 and 32 pixels, and a generator of 32 has no such pair.
VARIANTS: dict[str, dict[str, str]] = {
    "as it is": {},
    "pixels in place of pretrained features": {"algorithm": "dcgan", "loss.r1_gamma": "1", "loss.r2_gamma": "1"},
    "hinge in place of relativistic pairs": {"loss.kind": "hinge"},
    "no penalties": {"loss.r1_gamma": "0", "loss.r2_gamma": "0"},
    "no augmentation": {"augment.policy": "[]"},
    "no averaged weights": {"ema.images": "0"},
    "residual rises": {"generator.residual": "true"},
    "a painting layer": {"generator.refine": "true"},
    "a mapped latent": {"generator.mapping": "2"},
}
SOURCES = {
    "pixels in place of pretrained features": "Sauer et al. 2021",
    "hinge in place of relativistic pairs": "Huang et al. 2024 (R3GAN)",
    "no penalties": "Huang et al. 2024 (R3GAN)",
    "no augmentation": "Zhao et al. 2020",
    "no averaged weights": "Yazıcı et al. 2019",
    "residual rises": "He et al. 2016; Brock et al. 2019",
    "a mapped latent": "Karras et al. 2019 (StyleGAN)",
}
SHOWN = {"frechet": ".1f", "precision": ".2f", "recall": ".2f", "seconds": ".0f"}
HEAD = """# Which modern switch buys what

Written by `python -m training.evidence.switches`, which keeps every fact in [switches.jsonl](switches.jsonl) and, run again,
measures what is still missing. Faces of FairFace at 32x32, the recipe `fairface64` with a generator of width 32 that has
neither residual rises nor a painting layer; then one switch off, or one on. Mean over the seeds that ran (± their standard
deviation). Samples against as many of the pictures, in features of EfficientNet-lite2, which no training uses. Seconds are
wall time beside other work.
"""


def main(
    minutes: Annotated[float, typer.Option(help="Wall time for new measurements; 0: until all is done.")] = 0.0,
    steps: Annotated[int, typer.Option(help="Steps of each run, of 32 pictures.")] = 500,
    samples_drawn: Annotated[int, typer.Option("--samples", help="Samples a run is scored on.")] = COUNT,
    only: Annotated[str, typer.Option(help="Measure only facts whose key begins so.")] = "",
    data: Annotated[Path, typer.Option(help="The pictures.")] = DATA,
    out: Annotated[Path, typer.Option(help="The page; facts are kept beside it.")] = PAGE,
) -> None:
    """Measure what is missing and write the page."""
    facts = Facts(out.with_suffix(".jsonl"), minutes, only)
    for seed, variant in product(SEEDS, VARIANTS):
        facts.measure(f"{variant}.{seed}", partial(run, recipe(variant, seed, steps, data), samples_drawn))
        write_page(out, facts)
        if facts.out_of_time:
            break


def run(chosen: Recipe, count: int) -> dict[str, Any]:
    """Trains from scratch and scores `count` samples; seconds are those of training, on whatever else the machine did."""
    data, real = faces(chosen.data, count)
    started = time.perf_counter()
    algorithm = quick.train(chosen, data)
    seconds = time.perf_counter() - started
    latents = samples.seed_latents(range(count), algorithm.latent_size, chosen.latent.distribution)
    fake = lite2.features(algorithm.sample(latents, None))
    precision, recall = distances.precision_recall(real, fake)
    return {
        "frechet": distances.frechet(real, fake),
        "precision": precision,
        "recall": recall,
        "samples": count,
        "steps": chosen.run.steps,
        "batch": chosen.run.batch,
        "seconds": round(seconds, 1),
    }


def recipe(variant: str, seed: int, steps: int, data: Path = DATA) -> Recipe:
    """The recipe of the free faces at 32 pixels, but for the variant's own settings."""
    options = {
        **COMMON,
        **VARIANTS[variant],
        "run.seed": str(seed),
        "run.steps": str(steps),
        "data.path": str(data),
    }
    return with_hardware(resolve("fairface64", [f"{key}={value}" for key, value in options.items()]))


@lru_cache(maxsize=1)
def faces(table: DataTable, count: int) -> tuple[Dataset, Tensor]:
    """The pictures of that table, and the features [count, 1280] of some of them."""
    data, _ = load_dataset(table)
    chosen = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:count]
    return data, lite2.features(data.batch(chosen).pictures)


def write_page(path: Path, facts: Facts) -> None:
    """Writes the page from measured facts alone."""
    path.write_text("\n".join(_page(facts)) + "\n", encoding="utf-8")


def _page(facts: Facts) -> Iterator[str]:
    yield HEAD
    known = {name: found for name in VARIANTS if (found := facts.beginning(f"{name}."))}
    lengths = {
        f"{fact['steps']:,} steps of {fact['batch']} pictures, {fact['samples']:,} samples"
        for fact in chain.from_iterable(known.values())
    }
    yield f"Every run: {'; '.join(sorted(lengths))}. That ranks beginnings, not ends.\n"
    yield "| variant | Fréchet | precision | recall | training, s | source of the switch |\n|---|---|---|---|---|---|"
    for name, found in known.items():
        cells = [over_seeds(found, score, form) for score, form in SHOWN.items()]
        yield f"| {name} | {' | '.join(cells)} | {SOURCES.get(name, '–')} |"


if __name__ == "__main__":
    typer.run(main)
