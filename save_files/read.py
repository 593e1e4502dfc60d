"""Recipes read back out of PNG, WebP, JPEG, GIF, npz and zip. Files are untrusted: only text is looked at, never pixels."""

import io
import json
import zipfile
import zlib
from typing import Any

from save_files import blocks
from save_files.errors import DamagedRecipeError
from save_files.recipe import LARGEST_RECIPE, Recipe
from save_files.write import MARK

FIELD = "recipe.npy"
"""The member of an npz file that holds the recipe: a byte string, JSON."""
LARGEST_FIELD = 64 << 20


def read_recipe(data: bytes) -> Recipe | None:
    """The recipe inside a picture or an npz file; None for a file without one, whatever it is.

    Raises DamagedRecipeError for a recipe that is there and cannot be read.
    """
    if data.startswith(b"PK\x03\x04"):
        return _of_arrays(data)
    for text in blocks.texts(data, LARGEST_RECIPE):
        if text.startswith(MARK.encode() + b"{"):
            return _parsed(text[len(MARK) :])
    return None


def read_recipes(data: bytes) -> list[tuple[str, Recipe | None]]:
    """Name and recipe of every picture in a zip file; for any other file its own recipe under the name ""."""
    if not data.startswith(b"PK\x03\x04") or _of_arrays(data) is not None:
        return [("", read_recipe(data))]
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [(name, read_recipe(archive.read(name))) for name in archive.namelist() if not name.endswith("/")]
    except (zipfile.BadZipFile, OSError, RuntimeError, zlib.error):
        raise DamagedRecipeError("the zip file is damaged") from None


def _of_arrays(data: bytes) -> Recipe | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if FIELD not in archive.namelist():
                return None
            if archive.getinfo(FIELD).file_size > LARGEST_FIELD:
                raise DamagedRecipeError("the recipe is too long")
            array = archive.read(FIELD)
    except (zipfile.BadZipFile, OSError, RuntimeError, zlib.error):
        raise DamagedRecipeError("the zip file is damaged") from None
    start = array.find(b"\n") + 1  # the header of an npy file ends with a line feed; the JSON of ours has none
    return _parsed(array[start:].rstrip(b"\0"))


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        found, _ = json.JSONDecoder().raw_decode(text.decode())  # other programs pad what they re-save
    except (ValueError, RecursionError):
        raise DamagedRecipeError("the recipe in this file is damaged") from None
    if not isinstance(found, dict):
        raise DamagedRecipeError("the recipe in this file is damaged")
    return found
