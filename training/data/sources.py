"""Where pictures come from: each source lists named pictures that open lazily, with what is known of each (attributes).

Kinds, told apart by what lies there: idx files (MNIST, Fashion-MNIST), sheets with labels.csv (CIFAR), a zip, a folder.
"""

from __future__ import annotations

import csv
import gzip
import io
import struct
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from training.errors import DataError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
FASHION_CLASSES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot",
)  # fmt: skip
SHEET_COLUMNS = 100  # pictures across a CIFAR sheet


@dataclass(frozen=True)
class Picture:
    """One picture: its name in reports, how to open it, and its attributes ("class", csv columns) as text."""

    name: str
    open: Callable[[], Image.Image]
    attributes: Mapping[str, str] = field(default_factory=dict)


def find_pictures(path: Path, split: str = "train") -> list[Picture]:
    """All pictures of a data set, in a stable order; DataError when there is none."""
    if not path.exists():
        raise DataError(f"no data set at '{path}'")
    pictures = _find(path, split)
    if not pictures:
        raise DataError(
            f"no pictures in '{path}': looked for idx files, sheets, zips and {', '.join(sorted(SUFFIXES))}"
        )
    return pictures


def split_off(pictures: list[Picture], every: int) -> tuple[list[Picture], list[Picture]]:
    """Pictures to learn from, and every `every`-th (0 = none) to measure on."""
    kept_out = pictures[::every] if every else []
    return [picture for k, picture in enumerate(pictures) if not every or k % every], kept_out


def _find(path: Path, split: str) -> list[Picture]:
    if path.is_file():
        return _from_zip(path) if path.suffix == ".zip" else []
    if idx := _idx_pair(path, split):
        return list(_from_idx(*idx, classes=FASHION_CLASSES if "fashion" in path.name else ()))
    if (path / "labels.csv").is_file():
        return list(_from_sheets(path, split))
    loose = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if loose:
        return _from_folder(path, loose)
    return [picture for file in sorted(path.glob("*.zip")) for picture in _from_zip(file)]


def _from_folder(root: Path, files: list[Path]) -> list[Picture]:
    """Class subfolders are labels; a csv with a `file` column beside the pictures adds attributes."""
    table = _attributes(root)
    pictures = []
    for file in files:
        relative = file.relative_to(root)
        known = dict(table.get(relative.as_posix(), {}))
        if len(relative.parts) > 1:
            known.setdefault("class", relative.parts[0])
        pictures.append(Picture(relative.as_posix(), partial(Image.open, file), known))
    return pictures


def _from_zip(file: Path) -> list[Picture]:
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise DataError(f"'{file.name}' is not a readable zip: {error}") from error
    table = _attributes(file.parent)
    pictures = []
    for name in sorted(archive.namelist()):
        entry = PurePosixPath(name)
        if entry.suffix.lower() in SUFFIXES and not name.startswith("__MACOSX"):
            known = dict(table.get(name, {}))
            if len(entry.parts) > 1:
                known.setdefault("class", entry.parts[0])
            pictures.append(Picture(name, partial(_open_entry, archive, name), known))
    return pictures


def _open_entry(archive: zipfile.ZipFile, name: str) -> Image.Image:
    return Image.open(io.BytesIO(archive.read(name)))


def _attributes(folder: Path) -> dict[str, dict[str, str]]:
    """Rows of every csv in the folder that has a `file` column, by file."""
    table: dict[str, dict[str, str]] = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            if "file" in (reader.fieldnames or ()):
                for row in reader:
                    table.setdefault(row["file"], {}).update(row)
    return table


def _idx_pair(folder: Path, split: str) -> tuple[Path, Path] | None:
    prefix = "train" if split == "train" else "t10k"
    for suffix in ("", ".gz"):
        images, labels = (folder / f"{prefix}-{kind}-ubyte{suffix}" for kind in ("images-idx3", "labels-idx1"))
        if images.is_file() and labels.is_file():
            return images, labels
    return None


def _from_idx(images: Path, labels: Path, classes: tuple[str, ...]) -> Iterator[Picture]:
    pixels, answers = _read_idx(images), _read_idx(labels)
    if len(pixels) != len(answers):
        raise DataError(f"'{images.name}' holds {len(pixels)} pictures but '{labels.name}' {len(answers)} labels")
    for index, answer in enumerate(answers.tolist()):
        name = classes[answer] if classes else str(answer)
        yield Picture(
            f"{images.name}#{index}", partial(Image.fromarray, pixels[index]), {"class": name, "label": str(answer)}
        )


def _read_idx(path: Path) -> np.ndarray:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            data = stream.read()
        zeros, kind, rank = struct.unpack_from(">HBB", data)
        shape = struct.unpack_from(f">{rank}I", data, 4)
        if zeros != 0 or kind != 8:
            raise ValueError("not an idx file of unsigned bytes")
        return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise DataError(f"'{path.name}' cannot be read: {error}") from error


def _from_sheets(folder: Path, split: str) -> Iterator[Picture]:
    """CIFAR sheets: lossless WebP, square pictures, 100 across; labels.csv has sheet, index, class."""
    sheets: dict[str, Sheet | None] = {}
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["sheet"].startswith(split)]
    for row in rows:
        name = row["sheet"]
        if name not in sheets:  # the table may list sheets that are delivered later
            file = next(folder.glob(f"*_{name}.*"), None)
            sheets[name] = None if file is None else Sheet(file)
        if (sheet := sheets[name]) is not None:
            tile = partial(sheet.open, int(row["index"]))
            yield Picture(f"{name}#{row['index']}", tile, {"class": row["class"], **row})


class Sheet:
    """One file of many square pictures, SHEET_COLUMNS across; decoded once, when the first is asked for."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._tiles: np.ndarray | None = None

    def open(self, index: int) -> Image.Image:
        """The picture at that place, row by row; OSError when the sheet is damaged, ValueError beyond its end."""
        with self._lock:
            if self._tiles is None:
                self._tiles = self._cut()
        if index >= len(self._tiles):
            raise ValueError(f"'{self._path.name}' holds only {len(self._tiles)} pictures")
        return Image.fromarray(self._tiles[index])

    def _cut(self) -> np.ndarray:
        with Image.open(self._path) as image:
            pixels = np.asarray(image.convert("RGB"))
        side = pixels.shape[1] // SHEET_COLUMNS
        cut = pixels.reshape(-1, side, SHEET_COLUMNS, side, 3).swapaxes(1, 2)
        return cut.reshape(-1, side, side, 3)
