"""Packs a picture set small enough to be carried to another machine: `python -m scripts.pack_data FOLDER OUT.zip`.

Pictures are shrunk to a side and kept as WebP, with their class as a folder, until `--most-mib` is reached. The zip is a
data set like any other: `ganymede train RECIPE data.path=OUT.zip`.
"""

import io
import zipfile
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from training.data.sources import Picture, find_pictures

QUALITY = 90


def pack(source: Path, out: Path, side: int, most_bytes: int) -> int:
    """Writes `out`; returns how many pictures fit. Raises DataError when there are none."""
    packed, size = 0, 0
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for picture in find_pictures(source):
            data = shrunk(picture, side)
            if size + len(data) > most_bytes:
                break
            folder = picture.attributes.get("class", "")
            archive.writestr(f"{folder}/{packed:06d}.webp" if folder else f"{packed:06d}.webp", data)
            packed, size = packed + 1, size + len(data)
    return packed


def shrunk(picture: Picture, side: int) -> bytes:
    """The picture's WebP with no side of its shorter edge above `side` pixels."""
    buffer = io.BytesIO()
    with picture.open() as image:
        small = image.convert("RGB")
        scale = side / min(small.size)
        if scale < 1:
            width, height = (max(1, round(edge * scale)) for edge in small.size)
            small = small.resize((width, height), Image.Resampling.LANCZOS)
        small.save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()


def main(
    source: Path,
    out: Path,
    side: Annotated[int, typer.Option(min=8, help="Shorter edge in pixels.")] = 80,
    most_mib: Annotated[float, typer.Option(help="Largest size of the zip.")] = 24,
) -> None:
    """Pack SOURCE into OUT."""
    count = pack(source, out, side, int(most_mib * 2**20))
    typer.echo(f"{out}: {count} pictures, {out.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    typer.run(main)
