"""One picture as the networks want it: opened, brought to grey or RGB, made square, scaled; and what was odd about it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from training.data.sources import Picture
from training.recipes.tables import DataTable


@dataclass(frozen=True)
class Finding:
    """Something to report about one file: what it is, and whether it was converted or must be refused."""

    name: str
    kind: str  # unreadable, odd-sized, grey, colour, CMYK, alpha, palette, deep, small
    action: str  # "converted" or "refused"
    detail: str


@dataclass(frozen=True)
class Loaded:
    """The pixels [C, size, size] uint8, or None when unreadable, and the findings."""

    pixels: np.ndarray | None
    findings: tuple[Finding, ...] = ()


def load(picture: Picture, table: DataTable) -> Loaded:
    """Opens and converts one picture; never raises for bad files, it says so in the findings."""
    try:
        with picture.open() as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
            findings = tuple(_inspect(picture.name, upright, table))
            return Loaded(_to_array(upright, table), findings)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return Loaded(None, (Finding(picture.name, "unreadable", "refused", _reason(error)),))


def _reason(error: Exception) -> str:
    text = str(error).split("\n")[0]
    return "not a picture" if "cannot identify" in text else text or type(error).__name__


def _inspect(name: str, image: Image.Image, table: DataTable) -> list[Finding]:
    found: list[Finding] = []
    width, height = image.size
    if width != height:
        how = {"crop": "centre square taken", "pad": "padded to a square", "stretch": "stretched"}[table.fit]
        found.append(Finding(name, "odd-sized", "converted", f"{width}x{height}, {how}"))
    if (height < table.sides[0] or width < table.sides[1]) and table.fit != "pad":
        shown = "x".join(map(str, dict.fromkeys(table.sides[::-1])))
        found.append(Finding(name, "small", "converted", f"{width}x{height}, enlarged to {shown}"))
    if kind := _mode_kind(image, table.channels):
        target = "grey" if table.channels == 1 else "RGB"
        found.append(Finding(name, kind, "converted", f"mode {image.mode} to {target}"))
    return found


def _mode_kind(image: Image.Image, channels: int) -> str:
    """The name of a colour mode that has to be converted, or nothing."""
    if image.mode == "CMYK":
        return "CMYK"
    if image.mode.startswith(("I", "F")):
        return "deep"
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        return "alpha"
    if image.mode == "P":
        return "palette"
    if image.mode in ("L", "1"):
        return "" if channels == 1 else "grey"
    return "colour" if channels == 1 else ""


def _to_array(image: Image.Image, table: DataTable) -> np.ndarray:
    shaped = _shaped(_to_mode(image, "L" if table.channels == 1 else "RGB"), table)
    height, width = table.sides
    if shaped.size != (width, height):
        shaped = shaped.resize((width, height), Image.Resampling.LANCZOS)
    pixels = np.asarray(shaped, np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    """Alpha goes on white; 16-bit and float pictures are scaled to their own range first."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    elif image.mode.startswith(("I", "F")):
        values = np.asarray(image, np.float32)
        top = 65535.0 if image.mode.startswith("I") else max(float(values.max()), 1e-8)
        image = Image.fromarray((np.clip(values / top, 0, 1) * 255).round().astype(np.uint8))
    return image if image.mode == mode else image.convert(mode)


def _shaped(image: Image.Image, table: DataTable) -> Image.Image:
    """The picture in the ratio of the wanted size: its centre, or all of it on black, or as it is to be stretched."""
    width, height = image.size
    tall, wide = table.sides
    if table.fit == "pad":
        unit = max(width / wide, height / tall, 1.0)  # pixels of the canvas for one of the result
        canvas = Image.new(image.mode, (round(unit * wide), round(unit * tall)))
        canvas.paste(image, ((canvas.width - width) // 2, (canvas.height - height) // 2))
        return canvas
    if table.fit == "stretch" and not table.crop:
        return image
    unit = min(width / wide, height / tall, table.crop / tall if table.crop else math.inf)
    box = max(1, round(unit * wide)), max(1, round(unit * tall))
    left, top = (width - box[0]) // 2, (height - box[1]) // 2
    return image.crop((left, top, left + box[0], top + box[1]))
