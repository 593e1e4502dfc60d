"""`ganymede redo`: the same pixels again, from save files alone."""

import io
import json
import zipfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image

from ganymede_client import Client, calls
from save_files import DamagedRecipeError, Recipe, as_json, combined, expanded, read_recipe
from service.cli.application import app
from service.cli.folders import plan, run
from service.cli.many import SAVE_FILES, Item, UnreadableError
from service.cli.pictures import suffix_of
from service.cli.remote import Again, Files, Jobs, Metadata, Out, Recursive, Url, client
from service.cli.sources import Sources, recipe_in

MEDIA = {".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif"}
NPZ = "application/x-npz"
AT_ONCE = 256
"""Pictures of an array that one request brings."""


@app.command()
def redo(
    files: Files,
    source: Annotated[
        list[Path] | None, typer.Option("--source", help="What sharpened pictures were made from: a file or folder.")
    ] = None,
    metadata: Metadata = None,
    out: Out = None,
    recursive: Recursive = False,
    jobs: Jobs = 2,
    again: Again = False,
    url: Url = None,
) -> None:
    """Make save files' pictures again. Example: ganymede redo faces.png -o again.png

    PNG, WebP, JPEG, GIF, zip and npz; -o may name another format. A bundle or source that is missing is named by its digest.
    """
    chosen = plan(files, out, SAVE_FILES, None, "again", recursive=recursive)
    sources = Sources(source or [])
    with client(url, retries=30) as ganymede:
        remake = _Remake(ganymede, sources, metadata)
        run(chosen, remake.file, what="redo", jobs=jobs, again=again)


class _Remake:
    """Recipes to files again."""

    def __init__(self, ganymede: Client, sources: Sources, metadata: str | None) -> None:
        self._ganymede, self._sources, self._metadata = ganymede, sources, metadata

    def file(self, item: Item, target: Path) -> tuple[bytes, dict[str, Any]]:
        """One file. Raises UnreadableError for one that cannot be made again."""
        data = item.data()
        kind = _archive(data) if data.startswith(b"PK") else suffix_of(data)
        suffix = target.suffix.lower() or kind
        if kind == ".npz":
            made = self._arrays(recipe_in(data))
        elif kind == ".zip":
            made = self._zip(data)
        else:
            recipe = recipe_in(data)
            if suffix not in MEDIA:
                raise UnreadableError(
                    f"is one picture; it cannot be made again as {target.name}, but as {', '.join(MEDIA)}"
                )
            made = self._picture(recipe, MEDIA[suffix])
        return made, {"same": _same(data, made), **_computed(data, made)}

    def _picture(self, recipe: Recipe, media: str) -> bytes:
        source = self._sources.get(str(recipe.get("input"))) if recipe.get("op") == "upsample" else None
        call = calls.redo(recipe, source, metadata=self._metadata)
        return self._ganymede.run(calls.encoded(call, media), patient=True)

    def _zip(self, data: bytes) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as new:
            for member in old.infolist():
                media = MEDIA.get(Path(member.filename).suffix.lower(), "image/png")
                new.writestr(member, self._picture(recipe_in(old.read(member)), media))
        return buffer.getvalue()

    def _arrays(self, recipe: Recipe) -> bytes:
        """The arrays of any number of pictures, some at a time."""
        parts = expanded(recipe)
        if len(parts) <= AT_ONCE:
            return self._picture(recipe, NPZ)
        groups = [parts[start : start + AT_ONCE] for start in range(0, len(parts), AT_ONCE)]
        loaded = [np.load(io.BytesIO(self._picture(combined(group), NPZ))) for group in groups]
        fields = {name: np.concatenate([arrays[name] for arrays in loaded]) for name in ("images", "seeds")}
        if self._metadata in (None, "full"):
            singles = [one for arrays in loaded for one in expanded(json.loads(bytes(arrays["recipe"][()])))]
            fields["recipe"] = np.array(as_json(combined(singles)).encode())
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **fields)
        return buffer.getvalue()


def _archive(data: bytes) -> str:
    try:
        return ".npz" if read_recipe(data) is not None else ".zip"
    except DamagedRecipeError as error:
        raise UnreadableError(str(error)) from None


def _computed(old: bytes, new: bytes) -> dict[str, Any]:
    """Of a fast picture that something else computed than here: by whom then and now."""
    then, now = (expanded(read_recipe(data) or {})[0] for data in (old, new))
    if then.get("precision") != "fast" or not now or all(then.get(k) == now.get(k) for k in ("provider", "machine")):
        return {}
    sentence = "on another kind of machine, so fast pictures may differ"
    return {"fast": f"{then.get('provider')} then, {now.get('provider')} now, {sentence}"}


def _same(old: bytes, new: bytes) -> bool:
    """Whether the file that was made has the old one's pixels; between lossy formats it may not, after a re-save."""
    if old == new:
        return True
    try:
        if old.startswith(b"PK"):
            with np.load(io.BytesIO(old)) as a, np.load(io.BytesIO(new)) as b:
                return bool(np.array_equal(a["images"], b["images"]))
        with Image.open(io.BytesIO(old)) as first, Image.open(io.BytesIO(new)) as second:
            return first.size == second.size and first.convert("RGBA").tobytes() == second.convert("RGBA").tobytes()
    except (OSError, ValueError, KeyError):
        return False
