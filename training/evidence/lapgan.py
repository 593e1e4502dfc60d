"""docs/evidence/lapgan.md by one command: `python -m training.evidence.lapgan --minutes 10`.

Four families learn CIFAR-10 for the same processor time and are scored alike; then, for the shipped bundle, what each
level adds: the coarse picture is frozen and the detail drawn again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from models.bundle import Bundle, read_bundle
from models.latents import cut, draw
from models.manifest import Latent
from models.runtimes import open_runtime
from models.runtimes.base import Array, Runtime, one_hot
from training import algorithms, samples
from training.algorithms.base import Algorithm, Setting
from training.attributes import Classifier
from training.data.dataset import Dataset, Sampler, load_dataset
from training.evidence.space import class_score, features, frechet, obtain
from training.precision import with_hardware
from training.randomness import StepRandom
from training.recipe import resolve
from training.recipe_tables import DataTable, Recipe

PAGE = Path("docs/evidence/lapgan.md")
BUNDLE = Path("models/exports/cifar32-lapgan")
DATA = "../shared/data/cifar10"
SCORED = 2000
ON_CIFAR = [f"data.path={DATA}", "data.size=32", "data.channels=3", "data.flip=true"]
SMALL = ["pyramid.width=24", "pyramid.every=[1, 2, 3]", "pyramid.pixel=0.5"]
CONTESTANTS: dict[str, tuple[str, list[str]]] = {
    "fully connected GAN": ("mnist-gan", [*ON_CIFAR, "data.labels=none"]),
    "DCGAN": ("dcgan-modern", [*ON_CIFAR, "generator.width=32", "discriminator.width=32"]),
    "LAPGAN": ("lapgan-modern", SMALL),
    "CC-LAPGAN": ("cifar32-lapgan", []),
}


@dataclass(frozen=True)
class Result:
    """What one contestant reached: `seconds` of processor time, real pictures seen, parameters, the two scores."""

    name: str
    seconds: float
    images: int
    parameters: int
    score: float
    distance: float


def train(recipe: Recipe, dataset: Dataset, seconds: float) -> tuple[Algorithm, int]:
    """Moves a fresh algorithm for so many seconds of processor time; also returns the real pictures seen."""
    algorithm = algorithms.build(Setting(recipe, dataset.spec))
    sampler = Sampler(len(dataset), algorithm.pictures_per_step, recipe.run.seed)
    begin, step = time.process_time(), 0
    while time.process_time() - begin < seconds:
        random = StepRandom(recipe.run.seed, step)
        random.seed_global()
        algorithm.step(dataset.batch(sampler.indices(step), random), random)
        step += 1
    algorithm.refresh_statistics(StepRandom(recipe.run.seed, step))
    return algorithm, step * algorithm.pictures_per_step


def pictures_of(algorithm: Algorithm, seeds: range) -> Array:
    """Pictures [n, 3, 32, 32] of the seeds, classes in turn."""
    latents = samples.seed_latents(seeds, algorithm.latent_size, algorithm.recipe.latent.distribution)
    classes = len(algorithm.data.classes)
    labels = torch.from_numpy(one_hot([s % classes for s in seeds], classes)) if classes else None
    parts = [
        algorithm.sample(part, None if labels is None else labels[k * 100 : k * 100 + 100])
        for k, part in enumerate(torch.split(latents, 100))
    ]
    return np.asarray(torch.cat(parts).float().clamp(-1, 1).numpy())


def contest(name: str, seconds: float, judge: Classifier, real: Array, folder: Path) -> Result:
    """Train, score, and write the sample sheet of one contestant."""
    recipe_name, overrides = CONTESTANTS[name]
    recipe = with_hardware(resolve(recipe_name, [*overrides, "run.device=cpu", "run.steps=1000000"]))
    dataset, _ = load_dataset(recipe.data)
    algorithm, images = train(recipe, dataset, seconds)
    made = pictures_of(algorithm, range(SCORED))
    samples.save_grid(folder / f"lapgan-{_slug(name)}.png", torch.from_numpy(made[:60]), 10)
    served = sum(p.numel() for level in algorithm.export_levels() for p in level.module.parameters())
    distance = frechet(features(judge, made), features(judge, real))
    return Result(name, seconds, images, served, class_score(judge, made), distance)


def real_pictures() -> Array:
    """CIFAR-10 test pictures that neither the classifier nor any contestant learnt from."""
    dataset, _ = load_dataset(DataTable(path=DATA, split="test", size=32, labels="class", limit=SCORED * 2))
    return np.asarray(dataset.batch(torch.arange(len(dataset))).pictures.numpy())


def reroll_sheet(bundle: Bundle, path: Path, rows: int = 6, rerolls: int = 6) -> list[str]:
    """Each row freezes one coarse picture: the levels of its own seed, then the finest with other seeds' noise.

    Returns a table row a level: how much of the pictures' variance that level's own noise makes.
    """
    runtime, manifest = open_runtime(bundle), bundle.manifest
    classes = len(manifest.labels or ())
    label = one_hot([k % classes for k in range(rows)], classes) if classes else None
    own = cut(manifest.latent, draw(manifest.latent, range(rows)))
    chain: list[Array] = []
    for level, noise in enumerate(own):
        chain.append(runtime.run_level(level, chain[-1] if chain else None, noise, label))
    tiles, table = [_fit(picture, chain[-1].shape[2]) for picture in chain], []
    for level in range(1, len(own)):
        again = [_rerolled(runtime, manifest.latent, chain, level, own, label, 100 + 50 * k) for k in range(rerolls)]
        spread = float(np.stack(again).std(axis=0).mean() * 127.5)
        table.append(f"| {manifest.levels[level].output[0]} | {spread:.1f} |")
        tiles += again if level == 1 else again[:3]
    sheet = np.stack(tiles, axis=1).reshape(-1, *tiles[0].shape[1:])
    samples.save_grid(path, torch.from_numpy(np.clip(sheet, -1, 1)), len(tiles))
    return table


def _rerolled(
    runtime: Runtime, prior: Latent, chain: list[Array], level: int, own: list[Array], label: Array | None, seed: int
) -> Array:
    """The finest pictures when `level` gets other seeds' noise and the other levels keep theirs."""
    fresh = cut(prior, draw(prior, range(seed, seed + len(own[0]))))
    picture = chain[level - 1]
    for finer in range(level, len(own)):
        picture = runtime.run_level(finer, picture, fresh[finer] if finer == level else own[finer], label)
    return picture


def _fit(pictures: Array, side: int) -> Array:
    times = side // pictures.shape[2]
    return pictures.repeat(times, axis=2).repeat(times, axis=3)


def page(results: list[Result], judge: Classifier, real: Array, bundle: Bundle | None, folder: Path) -> str:
    """The whole page as Markdown."""
    half = len(real) // 2
    floor = frechet(features(judge, real[:half]), features(judge, real[half:]))
    accuracy = float(np.mean(list(judge.accuracy.values())))
    lines = [
        "# LAPGAN beside its relatives, at equal compute",
        "",
        f"Made by `python -m training.evidence.lapgan --minutes {results[0].seconds / 60:g}`: every family learns CIFAR-10 (the",
        "30,000 training pictures in `../shared/data`) for the same processor time on one thread, then draws seeds 0 ... "
        f"{SCORED - 1}.",
        "cls_frechet (lower is better) and cls_score (higher is better) are the formulas of FID and IS in the space of our",
        f"own small classifier (balanced accuracy {accuracy:.2f}), against {len(real)} test pictures; they are not FID or IS.",
        f"Two halves of the test pictures are {floor:.2f} apart and score {class_score(judge, real):.2f}.",
        "",
        "| family | processor time, min | real pictures seen | parameters served | cls_frechet | cls_score |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.name} | {r.seconds / 60:g} | {r.images:,} | {r.parameters:,} | {r.distance:.2f} | {r.score:.2f} |"
        for r in results
    ]
    for result in results:
        lines += ["", f"## {result.name}", "", f"![{result.name}](lapgan-{_slug(result.name)}.png)"]
    if bundle is not None:
        lines += _levels_section(bundle, folder)
    return "\n".join(lines) + "\n"


def _levels_section(bundle: Bundle, folder: Path) -> list[str]:
    table = reroll_sheet(bundle, folder / "lapgan-levels.png")
    return [
        "",
        "## What each level adds",
        "",
        f"`{bundle.reference}`: a row is one class. First the picture after each level (enlarged without smoothing), then the",
        "final picture with the second level's noise drawn again six times, then with each finer level's noise drawn again",
        "three times; everything else stays. The table says how far a pixel moves (standard deviation, of 255).",
        "",
        "| level re-rolled, pixels | movement of a pixel |",
        "|---|---|",
        *table,
        "",
        "![What each level adds](lapgan-levels.png)",
    ]


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-")


def main(
    minutes: Annotated[float, typer.Option(help="Processor time of each family.")] = 10.0,
    out: Annotated[Path, typer.Option(help="The page; sheets are written beside it.")] = PAGE,
) -> None:
    """Train, score and describe."""
    torch.set_num_threads(1)
    judge, real = obtain(), real_pictures()
    out.parent.mkdir(parents=True, exist_ok=True)
    results = []
    for name in CONTESTANTS:
        results.append(contest(name, minutes * 60, judge, real, out.parent))
        typer.echo(str(results[-1]))
    bundle = read_bundle(BUNDLE) if BUNDLE.is_dir() else None
    out.write_text(page(results, judge, real, bundle, out.parent), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
