"""The recipe itself: what makes a picture again, as a JSON object, and the recipe of several pictures together."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

Recipe = dict[str, Any]
Metadata = Literal["full", "minimal", "none"]
LARGEST_RECIPE = 4 << 20
"""Characters of a recipe, at most: a sheet of 64 latents of a LAPGAN has 2 million."""
_UNSPOKEN = {"model", "version", "op", "latent", "items", "stops", "operands", "columns"}
as_json = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
"""A recipe as text, ASCII. Made once: building an encoder costs more than using it."""


def combined(recipes: Sequence[Mapping[str, Any]], columns: int | None = None) -> Recipe:
    """One recipe for several pictures in order: what they share is said once. `columns` shapes a contact sheet."""
    first = recipes[0]
    shared = {key: value for key, value in first.items() if all(other.get(key) == value for other in recipes)}
    items = [{key: value for key, value in recipe.items() if key not in shared} for recipe in recipes]
    return {**shared, "items": items} | ({} if columns is None else {"columns": columns})


def expanded(recipe: Mapping[str, Any]) -> list[Recipe]:
    """The recipe of each picture, as `combined` took them; a list of one for a single picture or a walk."""
    items = recipe.get("items")
    if not isinstance(items, list) or not items:
        return [dict(recipe)]
    shared = {key: value for key, value in recipe.items() if key not in ("items", "columns")}
    return [{**shared, **item} for item in items if isinstance(item, dict)]


def parameters_line(recipe: Mapping[str, Any]) -> str:
    """One line for people: `faces64@1234 seed 7, truncation 0.8`. Latin-1 only, as PNG's tEXt demands."""
    shown = {key: value for key, value in recipe.items() if key not in _UNSPOKEN and value is not None}
    items = recipe.get("items")
    if isinstance(items, list) and items:
        shown["pictures"] = len(items)
    words = ", ".join(_words(shown.items()))
    return f"{recipe.get('model', '')} {words}".strip().encode("latin-1", "replace").decode("latin-1")


def _words(pairs: Iterable[tuple[str, Any]]) -> Iterable[str]:
    return (f"{key} {value}" for key, value in pairs)
