"""run.html: how a run goes, in one file that needs nothing else. Curves, scores, and the grids over time with a slider.

Written anew at every snapshot, in one rename; open in a browser it loads itself again while the newest grid is shown.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from training.methods.losses import needs_pairs
from training.recipes.recipe import Recipe
from training.run.run_folder import RunFolder

TEMPLATE = Path(__file__).with_name("run.html")
STYLE = Path(__file__).with_name("page.css")
MARK_STYLE, MARK_DATA = "/* style */", "{/* data */}"
FRAMES = 24  # grids on the page, spread over the run; the newest is always there
POINTS = 300  # of a curve
GRID_PIXELS = 660  # longest side of a grid on the page
CURVES = {
    "lite2_frechet": "Fréchet distance to real pictures",
    "lite2_precision": "precision",
    "lite2_recall": "recall",
    "discriminator_loss": "loss of the discriminator",
    "generator_loss": "loss of the generator",
    "real_accuracy": "real pictures called real",
    "fake_accuracy": "generated ones called generated",
    "diversity_ratio": "diversity, real pictures = 1",
    "images_per_second": "pictures a second",
}


class RunPage:
    """The page of one run; grids already packed are remembered."""

    def __init__(self, folder: RunFolder, recipe: Recipe) -> None:
        self.folder, self.recipe = folder, recipe
        self._packed: dict[str, str] = {}

    def write(self) -> Path:
        """Writes the page from what lies in the run folder."""
        partial = self.folder.page.with_suffix(".partial")
        partial.write_text(filled(TEMPLATE, self.data()), encoding="utf-8")
        partial.replace(self.folder.page)
        return self.folder.page

    def data(self) -> dict[str, Any]:
        """What the page shows: facts of the run, curves as [step, value], frames as step and picture."""
        lines = _lines(self.folder.stats_file)
        newest = lines[-1] if lines else {}
        best = self.folder.best_step()
        return {
            "name": self.recipe.name,
            "description": self.recipe.description,
            "steps": self.recipe.run.steps,
            "step": newest.get("step", 0),
            "minutes": round(newest.get("seconds", 0) / 60, 1),
            "images": max((line.get("images", 0) for line in lines), default=0),
            "best": best,
            "scored": any("lite2_frechet" in line for line in lines),
            "curves": [{"name": text, "points": _curve(lines, key)} for key, text in self._curves().items()],
            "frames": [{"step": _step(file), "picture": self._picture(file)} for file in self._shown()],
        }

    def _curves(self) -> dict[str, str]:
        """Where only the difference of logits counts, a logit's sign says nothing."""
        relative = needs_pairs(self.recipe.loss.kind)
        return {key: text for key, text in CURVES.items() if not (relative and key.endswith("accuracy"))}

    def _shown(self) -> list[Path]:
        return spread(sorted(self.folder.grids.glob("step-*.png")), FRAMES)

    def _picture(self, file: Path) -> str:
        if file.name not in self._packed:
            self._packed[file.name] = packed(Image.open(file), GRID_PIXELS)
        return self._packed[file.name]


def filled(template: Path, data: object) -> str:
    """The template with style and data in it; no text of the data can end the script that holds it."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    page = template.read_text(encoding="utf-8").replace(MARK_STYLE, STYLE.read_text(encoding="utf-8"))
    return page.replace(MARK_DATA, text)


def packed(picture: Image.Image, longest: int) -> str:
    """A picture as a data URI: WebP, small pictures enlarged by whole numbers without smoothing, large ones reduced."""
    times = max(1, longest // max(picture.size))
    shown = picture.convert("RGB").resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
    shown.thumbnail((longest, longest))
    buffer = io.BytesIO()
    shown.save(buffer, "WEBP", quality=82)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """At most `count` of the items, evenly spread, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(k * (len(items) - 1) / (count - 1))] for k in range(count)]


def _curve(lines: list[dict[str, Any]], key: str) -> list[tuple[float, float]]:
    return spread([(line["step"], round(line[key], 4)) for line in lines if key in line], POINTS)


def _lines(file: Path) -> list[dict[str, Any]]:
    """Every whole line of stats.jsonl."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def _step(file: Path) -> int:
    return int(file.stem.removeprefix("step-"))
