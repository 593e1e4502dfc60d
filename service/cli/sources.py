"""Recipes of files on this disk, and the pictures that sharpened ones were made from."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from save_files import DamagedRecipeError, Recipe, read_recipe
from service.cli.many import PICTURES, Item, UnreadableError, find
from service.cli.output import fail, read

NO_RECIPE = "carries no Ganymede recipe; its metadata was stripped, or it was made elsewhere"


def recipe_of_file(path: Path) -> Recipe:
    """The recipe inside a save file. Ends the command with a sentence when there is none."""
    try:
        return recipe_in(read(path))
    except UnreadableError as error:
        fail(f"{path} {error}")


def recipe_in(data: bytes) -> Recipe:
    """The recipe inside a file. Raises UnreadableError where there is none."""
    try:
        recipe = read_recipe(data)
    except DamagedRecipeError:
        raise UnreadableError("carries a damaged recipe") from None
    if recipe is None:
        raise UnreadableError(NO_RECIPE)
    return recipe


class Sources:
    """Files by the beginning of their SHA-256, which is how a sharpened picture's recipe names what it was made from."""

    def __init__(self, paths: Sequence[Path]) -> None:
        items = find(paths, PICTURES, recursive=True) if paths else []
        self._files: dict[str, Item] = {}
        for item in items:
            with suppress(UnreadableError):  # what cannot be read now was no source
                self._files[hashlib.sha256(item.data()).hexdigest()[:16]] = item

    def get(self, digest: str) -> bytes:
        """The file of a digest. Raises UnreadableError, naming it, where no file given has it."""
        item = self._files.get(digest)
        if item is None:
            raise UnreadableError(f"needs the picture it was made from (--source), whose SHA-256 begins {digest}")
        return item.data()
