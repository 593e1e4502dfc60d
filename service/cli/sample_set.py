"""Any number of samples as a folder, a zip or an npz: made in parts, with steady memory; interrupted, it goes on.

A folder holds the pictures themselves; an archive is put together from parts on disk when all are there. The seed and
the request stand in a small file beside them, so that the same command goes on, and another one is refused.
"""

import json
import secrets
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganymede_client import Client, Pictures, calls
from save_files import as_json as packed
from save_files import combined, expanded
from service.cli.bars import bar
from service.cli.many import INTERRUPTED, Outcome, run_many
from service.cli.output import fail, note, replacing, report, write
from service.cli.pictures import make_folder, suffix_for, suffix_of

LARGEST_SHEET = 4096
PART, PART_PIXELS = 256, 8_000_000
"""Pictures of a part, at most, and pixels, at most."""
STATE = ".ganymede-sample.json"
ARCHIVES = {".zip", ".npz"}


@dataclass(frozen=True)
class Part:
    """Pictures first … first+count-1 of the set, and their first seed."""

    first: int
    count: int
    seed: int


def is_archive(out: Path | None) -> bool:
    """Whether -o names a zip or npz file."""
    return out is not None and out.suffix.lower() in ARCHIVES


def gathered(ganymede: Client, request: dict[str, Any], n: int, seed: int) -> Pictures:
    """A set small enough for one sheet."""
    made = []
    with bar("sample", n, "pictures") as progress:
        for picture in ganymede.iter_samples(n, seed=seed, **request):
            made.append(picture)
            progress.advance()
    return Pictures(tuple(made), {"model": str(made[0].recipe.get("model", ""))})


def make(ganymede: Client, request: dict[str, Any], n: int, seed: int | None, out: Path, jobs: int) -> None:
    """Make the set, or what is left of it, and say what was made."""
    if is_archive(out) and out.exists():
        fail(f"{out} is there already; remove it or choose another name")
    folder = out.with_name(f"{out.name}.parts") if is_archive(out) else out
    make_folder(folder)
    described = ganymede.model(request["model"]) if request["model"] else _default(ganymede)
    request = {**request, "model": described["reference"]}
    first = _remembered(folder, request, n, seed)
    parts = _parts(n, first, described["image"], request["scale"] or 1)
    work = (
        _Archived(ganymede, request, folder, out.suffix.lower())
        if is_archive(out)
        else _Loose(ganymede, request, folder, n)
    )
    outcome = run_many(
        parts, work.make, what="sample", jobs=jobs, done=work.done, unit="pictures", weight=lambda part: part.count
    )
    _conclude(outcome, parts, n)
    if is_archive(out):
        _join(out, [work.path(part) for part in parts])
        shutil.rmtree(folder)
    else:
        (folder / STATE).unlink(missing_ok=True)
    facts = {"files": [str(out)], "pictures": n, "model": request["model"], "first_seed": first}
    report(facts, f"{out}  {n} pictures of {request['model']}, seeds from {first}")


def _default(ganymede: Client) -> dict[str, Any]:
    name = ganymede.models()["default"]
    if name is None:
        fail("the server has no bundle that makes pictures")
    return ganymede.model(name)


def _remembered(folder: Path, request: dict[str, Any], n: int, seed: int | None) -> int:
    """The first seed of this set: the one it was begun with, else the one asked for, else a random one."""
    file = folder / STATE
    wish = {**request, "n": n}
    if file.exists():
        begun = json.loads(file.read_text())
        if begun["request"] != wish or seed not in (None, begun["seed"]):
            fail(f"{folder} holds the beginning of another set; remove it or choose another name")
        note(f"going on with the set begun in {folder}")
        return int(begun["seed"])
    first = secrets.randbelow(2**32) if seed is None else seed
    write(file, json.dumps({"seed": first, "request": wish}).encode())
    return first


def _parts(n: int, seed: int, image: dict[str, Any], scale: int) -> list[Part]:
    pixels = image["width"] * image["height"] * scale * scale
    size = max(1, min(PART, PART_PIXELS // pixels))
    return [Part(k * size, count, start) for k, (start, count) in enumerate(calls.parts(seed, n, size))]


class _Loose:
    """A folder of pictures, `000017-24.png`: the place in the set, then the seed."""

    def __init__(self, ganymede: Client, request: dict[str, Any], folder: Path, n: int) -> None:
        self._ganymede, self._request, self._folder, self._digits = ganymede, request, folder, len(str(n - 1))
        self._suffix = suffix_for(request["output_format"])
        self._there = {path.name for path in folder.iterdir()}

    def path(self, part: Part, k: int = 0) -> Path:
        return self._folder / f"{part.first + k:0{self._digits}d}-{(part.seed + k) % 2**32}{self._suffix}"

    def done(self, part: Part) -> bool:
        return all(self.path(part, k).name in self._there for k in range(part.count))

    def make(self, part: Part) -> None:
        call = calls.sample(**self._request, n=part.count, seed=part.seed)
        pictures = self._ganymede.run(call, patient=True)
        for k, picture in enumerate(pictures):
            write(self.path(part, k).with_suffix(suffix_of(picture.data)), picture.data)


class _Archived:
    """Parts of an archive, as the server sends them."""

    def __init__(self, ganymede: Client, request: dict[str, Any], folder: Path, suffix: str) -> None:
        self._ganymede, self._request, self._folder, self._suffix = ganymede, request, folder, suffix
        self._media = {".zip": "application/zip", ".npz": "application/x-npz"}[suffix]

    def path(self, part: Part) -> Path:
        return self._folder / f"{part.first:09d}{self._suffix}"

    def done(self, part: Part) -> bool:
        return self.path(part).exists()

    def make(self, part: Part) -> None:
        call = calls.encoded(calls.sample(**self._request, n=part.count, seed=part.seed), self._media)
        write(self.path(part), self._ganymede.run(call, patient=True))


def _conclude(outcome: Outcome[Any], parts: Sequence[Part], n: int) -> None:
    if outcome.failures:
        fail(outcome.failures[min(outcome.failures)])
    if outcome.interrupted:
        fail(f"interrupted; the same command goes on with the set of {n}", code=INTERRUPTED)
    if outcome.skipped:
        note(f"{sum(part.count for part in parts[: outcome.skipped])} pictures were there before")


def _join(out: Path, parts: Sequence[Path]) -> None:
    """One archive of all parts."""
    with replacing(out) as unfinished, zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as archive:
        (_join_arrays if out.suffix.lower() == ".npz" else _join_pictures)(archive, parts)


def _join_pictures(archive: zipfile.ZipFile, parts: Sequence[Path]) -> None:
    for part in parts:
        with zipfile.ZipFile(part) as source:
            for member in source.infolist():
                archive.writestr(member, source.read(member))


def _join_arrays(archive: zipfile.ZipFile, parts: Sequence[Path]) -> None:
    """`images` part by part, so that memory holds one; then `seeds`, and one recipe for all."""
    shapes, seeds, recipes = [], [], []
    for part in parts:
        with np.load(part) as arrays:
            seeds.append(arrays["seeds"])
            recipes += [bytes(arrays["recipe"][()])] if "recipe" in arrays else []
            shapes.append(len(seeds[-1]))
    with np.load(parts[0]) as arrays:
        one = arrays["images"]
        header = {"descr": one.dtype.str, "fortran_order": False, "shape": (sum(shapes), *one.shape[1:])}
    with archive.open("images.npy", "w", force_zip64=True) as target:
        np.lib.format.write_array_header_2_0(target, header)
        for part in parts:
            with np.load(part) as arrays:
                target.write(arrays["images"].tobytes())
    _add(archive, "seeds", np.concatenate(seeds))
    if len(recipes) == len(parts):
        _add(archive, "recipe", np.array(packed(_one_recipe([json.loads(text) for text in recipes])).encode()))


def _one_recipe(recipes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return combined([single for recipe in recipes for single in expanded(recipe)])


def _add(archive: zipfile.ZipFile, name: str, array: "np.ndarray[Any, Any]") -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as target:
        np.lib.format.write_array(target, array, allow_pickle=False)
