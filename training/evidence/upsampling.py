"""docs/evidence/upsampling.md by one command: `python -m training.evidence.upsampling`.

Held-out pictures are shrunk by the bundles' own operator and enlarged again by nearest, bicubic and the bundles.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import typer
from PIL import Image

from models.bundle import Bundle, read_bundle
from models.mathematics.pyramid import reduce
from models.runtimes.base import Array, from_pixels, to_pixels
from training.data.dataset import read_all
from training.data.sources import find_pictures, split_off
from training.evidence.space import SIDE, features, frechet, obtain
from training.evidence.upscalers import Upscaler, bundle_upscaler, plain
from training.networks.attribute_classifier import Classifier
from training.recipes.tables import DataTable

EXPORTS = Path("models/exports")
PAGE = Path("docs/evidence/upsampling.md")
PRIVATE = Path("runs/evidence")  # the photographs and faces may be used, not published
CROP = 128
CROPS_A_PHOTO = 6
FACES = 600
SHOWN = 5
HEADER = [
    "| method | PSNR, dB | PSNR after reduction, dB | gradient energy / true | cls_frechet of patches |",
    "|---|---|---|---|---|",
]


@dataclass(frozen=True)
class Trial:
    """One comparison: true pictures [n, 3, S, S], how much they are shrunk, and the ways to enlarge them."""

    title: str
    truth: Array
    factor: int
    methods: dict[str, Upscaler]
    publishable: bool = False  # whether the licence of the pictures lets a sheet of them stand on the page

    @property
    def small(self) -> Array:
        """The truth reduced by the pyramid's operator and rounded to 8 bits, as a user would send it."""
        side = self.truth.shape[2] // self.factor
        return from_pixels(to_pixels(reduce(self.truth, side, side)))


def psnr(one: Array, other: Array) -> float:
    """Peak signal-to-noise ratio in dB over all pictures, range -1..1."""
    return float(10 * np.log10(4.0 / max(float(np.square(one - other).mean()), 1e-12)))


def gradient_energy(images: Array) -> float:
    """Mean squared difference of neighbouring pixels: how much fine contrast there is."""
    return float(np.square(np.diff(images, axis=2)).mean() + np.square(np.diff(images, axis=3)).mean())


def patches(images: Array) -> Array:
    """All whole 32x32 patches side by side."""
    count = images.shape[2] // SIDE
    cut = images[:, :, : count * SIDE, : count * SIDE].reshape(len(images), 3, count, SIDE, count, SIDE)
    return np.ascontiguousarray(cut.transpose(0, 2, 4, 1, 3, 5).reshape(-1, 3, SIDE, SIDE))


def measure(trial: Trial, classifier: Classifier) -> list[str]:
    """A table row a method."""
    true_features = features(classifier, patches(trial.truth))
    small, rows = trial.small, []
    for name, method in trial.methods.items():
        made = method(small)
        back = reduce(made, small.shape[2], small.shape[3])
        distance = frechet(features(classifier, patches(made)), true_features)
        figures = (psnr(made, trial.truth), psnr(back, small), gradient_energy(made) / gradient_energy(trial.truth))
        rows.append(f"| {name} | {figures[0]:.2f} | {figures[1]:.1f} | {figures[2]:.2f} | {distance:.2f} |")
    return rows


def sheet(trial: Trial, path: Path) -> None:
    """Side by side, a row a picture: what was sent (nearest), each method, the truth."""
    size = trial.truth.shape[2]
    chosen = np.linspace(0, len(trial.truth) - 1, SHOWN).astype(int)
    small = trial.small[chosen]
    columns = [method(small) for method in trial.methods.values()] + [trial.truth[chosen]]
    canvas = np.full((SHOWN * (size + 2) - 2, len(columns) * (size + 2) - 2, 3), 255, np.uint8)
    for column, images in enumerate(columns):
        for row, pixels in enumerate(to_pixels(images)):
            top, left = row * (size + 2), column * (size + 2)
            canvas[top : top + size, left : left + size] = pixels
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(canvas).save(path, quality=90)


def held_out_photos(data: Path) -> Array:
    """Crops of the photographs that photo-x2 never learnt from, [n, 3, 128, 128]."""
    random, crops = np.random.RandomState(0), []
    for picture in split_off(find_pictures(data / "photos"), 10)[1]:
        with picture.open() as image:
            pixels = np.asarray(image.convert("RGB"))
        for _ in range(CROPS_A_PHOTO):
            top, left = (random.randint(side - CROP + 1) for side in pixels.shape[:2])
            crops.append(pixels[top : top + CROP, left : left + CROP])
    return from_pixels(np.stack(crops))


def held_out_faces(data: Path) -> Array:
    """Faces that faces64-lapgan never learnt from, [n, 3, 64, 64], prepared as its training set was."""
    table = DataTable(path=str(data / "faces"), size=64, crop=68)
    loaded, _ = read_all(split_off(find_pictures(data / "faces"), 10)[1][:FACES], table)
    return from_pixels(np.stack([item.pixels for item in loaded if item.pixels is not None]).transpose(0, 2, 3, 1))


def emoji(data: Path) -> Array:
    """Noto emoji drawings, Apache 2.0, unlike anything the bundles learnt from, [n, 3, 64, 64]."""
    loaded, _ = read_all(find_pictures(data / "emoji")[::40], DataTable(path=str(data / "emoji"), size=64))
    return from_pixels(np.stack([item.pixels for item in loaded if item.pixels is not None]).transpose(0, 2, 3, 1))


def trials(photo: Bundle | None, faces: Bundle | None, data: Path) -> list[Trial]:
    """The comparisons whose bundles are there."""
    found = []
    if photo is not None:
        truth = held_out_photos(data)
        for factor, times in ((2, 1), (4, 2)):
            methods = _plain_methods(CROP) | _bundle_methods(photo, times)
            found.append(
                Trial(f"Photographs, x{factor}: held-out crops of Urban100 and Sun-Hays80", truth, factor, methods)
            )
        drawn = emoji(data)
        methods = _plain_methods(64) | _bundle_methods(photo, 1)
        found.append(Trial("Emoji drawings, x2: nothing like the training set", drawn, 2, methods, publishable=True))
    if faces is not None:
        truth = held_out_faces(data)
        for times in range(1, len(faces.manifest.levels)):
            factor, methods = 2**times, _plain_methods(64) | _bundle_methods(faces, times)
            found.append(Trial(f"Faces, {64 // factor} to 64: held-out faces of LFW", truth, factor, methods))
    return found


def _plain_methods(side: int) -> dict[str, Upscaler]:
    return {
        "nearest": plain(side, Image.Resampling.NEAREST),
        "bicubic": plain(side, Image.Resampling.BICUBIC),
    }


def _bundle_methods(bundle: Bundle, times: int) -> dict[str, Upscaler]:
    return {
        bundle.name: bundle_upscaler(bundle, times),
        f"{bundle.name}, noise 0": bundle_upscaler(bundle, times, noise=0.0),
        f"{bundle.name}, faithful": bundle_upscaler(bundle, times, exact=True),
    }


def page(found: list[Trial], classifier: Classifier, folder: Path, bundles: list[Bundle]) -> str:
    """The whole page as Markdown; sheets are written beside it."""
    accuracy = float(np.mean(list(classifier.accuracy.values())))
    lines = [
        "# Upsampling: what the bundles add to a picture",
        "",
        "Made by `python -m training.evidence.upsampling`; every figure below was measured by it.",
        "Pictures that no training run saw are shrunk by the pyramid's own operator (area averaging), rounded to 8 bits, and",
        "enlarged again. PSNR after reduction compares the result, shrunk again, with what was sent: it says whether colours",
        "and shapes stayed (126 is exact, to rounding). Gradient energy is the mean squared difference of neighbouring pixels,",
        "as a share of the true picture's: 1 is as sharp as the truth. cls_frechet is a Fréchet distance of 32x32 patches in",
        "the space of our own",
        f"small CIFAR-10 classifier (balanced accuracy {accuracy:.2f}); it is not FID. Lower is better.",
        "",
        "Bundles: " + ", ".join(f"`{bundle.reference}`" for bundle in bundles) + ".",
    ]
    for number, trial in enumerate(found):
        name = f"upsampling-{number}.webp"
        sheet(trial, (folder if trial.publishable else PRIVATE) / name)
        columns = "; ".join([*trial.methods, "truth"])
        rows = measure(trial, classifier)
        lines += ["", f"## {trial.title}", "", f"{len(trial.truth)} pictures.", "", *HEADER, *rows, ""]
        shown = f"![{trial.title}]({name})" if trial.publishable else f"Sheet, not for publishing: `{PRIVATE / name}`."
        lines += [shown, "", f"Columns: {columns}."]
    return "\n".join(lines) + "\n"


def main(exports: Path = EXPORTS, data: Path = Path("../shared/data"), out: Path = PAGE) -> None:
    """Measure the shipped upsamplers and write the page."""
    found = {name: read_bundle(exports / name) for name in ("photo-x2", "faces64-lapgan") if (exports / name).is_dir()}
    text = page(
        trials(found.get("photo-x2"), found.get("faces64-lapgan"), data), obtain(), out.parent, list(found.values())
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    typer.echo(text)


if __name__ == "__main__":
    typer.run(main)
