"""A stored set as a file that is made while it is sent: the pieces, and what they are together."""

import asyncio
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from save_files import read_recipes
from service.http.responses.sets import npy_pieces, npz_pieces, read_in_threads, zip_pieces
from service.jobs.results import FolderResults
from service.operations.requests import Delivery
from service.operations.results import Picture, Pictures, pack
from service.operations.sets import Stored, StoredSet

SEEDS = [3, 4, 5, 4, 7]
PIXELS = np.arange(5 * 2 * 4 * 3, dtype=np.uint8).reshape(5, 2, 4, 3)
LABELS = ["red", "green", None, "red", "red"]


def set_of(folder: Path, *, labels: bool = False) -> StoredSet:
    """Five pictures in parts of two."""
    store, parts = FolderResults(folder), []
    made = [Picture(PIXELS[k], seed, recipe={"seed": seed}) for k, seed in enumerate(SEEDS)]
    if labels:
        made = [replace(picture, label=label) for picture, label in zip(made, LABELS, strict=True)]
    for start in range(0, 5, 2):
        part = tuple(made[start : start + 2])
        data, name = pack(Pictures("m@1", "cpu", part)), f"{'0' * 32}/{start}"
        store.put(name, data)
        digest = hashlib.sha256(data).hexdigest()
        parts.append(Stored(name, len(data), digest, len(part), PIXELS.shape[1:], "m@1", "cpu"))
    return StoredSet(store, tuple(parts))


def test_an_array_begins_with_its_header_and_comes_part_by_part(tmp_path: Path) -> None:
    """Of a slice only its parts are read."""
    found = set_of(tmp_path)
    pieces = list(npy_pieces(found, Delivery(), 0, 5))
    assert [len(piece) for piece in pieces[1:]] == [48, 48, 24]
    np.testing.assert_array_equal(np.load(io.BytesIO(b"".join(pieces))), PIXELS)
    pieces = list(npy_pieces(found, Delivery(), 1, 2))
    assert len(pieces) == 3
    np.testing.assert_array_equal(np.load(io.BytesIO(b"".join(pieces))), PIXELS[1:3])


def test_a_zip_has_a_file_a_picture(tmp_path: Path) -> None:
    """Named by its seed, and of a seed that comes again by its place in the set; format and metadata as asked for."""
    pieces = list(zip_pieces(set_of(tmp_path), Delivery(output_format="webp"), 1, 4))
    whole = b"".join(pieces)
    assert (len(pieces), all(pieces)) == (4, True), "a piece for each part, and the directory"
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["4.webp", "5.webp", "4-000003.webp", "7.webp"]
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert Image.open(archive.open("7.webp")).format == "WEBP"
    assert [recipe for _, recipe in read_recipes(whole)] == [{"seed": seed} for seed in SEEDS[1:]]
    mute = b"".join(zip_pieces(set_of(tmp_path), Delivery(metadata="none"), 0, 5))
    assert {recipe is None for _, recipe in read_recipes(mute)} == {True}


def test_arrays_have_seeds_labels_and_the_model(tmp_path: Path) -> None:
    """Labels where the bundle has them; the same bytes tomorrow."""
    pieces = list(npz_pieces(set_of(tmp_path, labels=True), Delivery(), 1, 4))
    assert (len(pieces), all(pieces)) == (4, True)
    found = np.load(io.BytesIO(b"".join(pieces)))
    np.testing.assert_array_equal(found["images"], PIXELS[1:])
    assert (found["seeds"].tolist(), found["seeds"].dtype) == (SEEDS[1:], np.uint32)
    assert (found["labels"].tolist(), found["model"].tobytes()) == (["green", "", "red", "red"], b"m@1")
    plain = b"".join(npz_pieces(set_of(tmp_path), Delivery(), 0, 5))
    with zipfile.ZipFile(io.BytesIO(plain)) as archive:
        assert archive.namelist() == ["images.npy", "seeds.npy", "model.npy"]
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


async def test_one_reader_makes_a_piece_at_a_time() -> None:
    """Between two pieces the others have their turn; the loop goes on meanwhile; what goes wrong is told."""
    readers, held = asyncio.Semaphore(1), []

    def pieces() -> Iterator[int]:
        for number in range(3):
            held.append(readers.locked())
            yield number

    found = []
    async for number in read_in_threads(pieces(), readers):
        found.append(number)
        assert not readers.locked()
    assert (found, held) == ([0, 1, 2], [True, True, True])

    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("the disk is gone")

    with pytest.raises(ValueError, match="the disk is gone"):
        _ = [number async for number in read_in_threads(broken(), readers)]
    assert not readers.locked()
