"""Resolves a recipe: TOML in, `extends` followed, `key=value` overrides checked, one complete Recipe out."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from training.errors import RecipeError
from training.recipes.recipe import Recipe

SHIPPED = Path(__file__).parent


def resolve(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of that name (shipped) or path, with `extends` followed and overrides applied."""
    tree = _read_chain(find(name_or_path))
    for override in overrides:
        _apply(tree, override)
    return from_tree(tree)


def find(name_or_path: str) -> Path:
    """Path of a recipe file; RecipeError lists the shipped ones when there is none."""
    path = Path(name_or_path)
    if path.suffix == ".toml" and path.is_file():
        return path
    shipped = SHIPPED / f"{name_or_path}.toml"
    if shipped.is_file():
        return shipped
    raise RecipeError(f"no recipe '{name_or_path}'; shipped ones: {', '.join(names())}")


def names() -> list[str]:
    """Names of the shipped recipes."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def from_tree(tree: Mapping[str, Any]) -> Recipe:
    """Validates a nested mapping; every wrong key is named together with the nearest known one."""
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        lines = [_explain(list(item["loc"]), item["type"], item["msg"]) for item in error.errors()]
        raise RecipeError("\n".join(lines)) from error


def to_toml(recipe: Recipe) -> str:
    """The complete recipe as TOML, every default spelt out."""
    return "\n".join(_toml_lines(recipe.model_dump(mode="json"), ())) + "\n"


def known_keys(model: type[BaseModel] = Recipe, prefix: str = "") -> Iterator[str]:
    """All dotted keys a recipe may hold."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from known_keys(inner, f"{prefix}{name}.")
        else:
            yield prefix + name


def _read_chain(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    if path in seen:
        raise RecipeError(f"recipes extend each other in a circle: {' -> '.join(p.stem for p in (*seen, path))}")
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path.name} is not TOML: {error}") from error
    parent = tree.pop("extends", None)
    tree.setdefault("name", path.stem)
    return tree if parent is None else _merge(_read_chain(find(parent), (*seen, path)), tree)


def _merge(base: dict[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        both_tables = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both_tables else value
    return merged


def _apply(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals:
        raise RecipeError(f"'{override}' is not of the form key=value")
    if key not in set(known_keys()):
        raise RecipeError(f"unknown key '{key}'{_nearest(key)}")
    *tables, leaf = key.split(".")
    for table in tables:
        tree = tree.setdefault(table, {})
    tree[leaf] = _value(text.strip())


def _value(text: str) -> Any:
    """A TOML value; anything that is none is a plain string, so that quotes are optional."""
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(location: list[int | str], kind: str, message: str) -> str:
    key = ".".join(map(str, location))
    if kind == "extra_forbidden":
        return f"unknown key '{key}'{_nearest(key)}"
    return f"{key}: {message}" if key else message


def _nearest(key: str) -> str:
    known = list(known_keys())
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    same_leaf = [name for name in known if name.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]]
    guess = same_leaf[:1] or close
    return f"; did you mean '{guess[0]}'?" if guess else ""


def _toml_lines(tree: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    if path:
        yield f"\n[{'.'.join(path)}]"
    for key, value in tree.items():
        if not isinstance(value, dict):
            yield f"{key} = {json.dumps(value, ensure_ascii=False)}"
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _toml_lines(value, (*path, key))
