"""The latent of a picture we made, from the recipe it carries. Whatever the recipe claims is checked."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from models.errors import LatentError
from models.mathematics import latents
from models.mathematics.latents import Vector
from service.engine.model import Model
from service.errors import ConflictError, InvalidValueError
from service.operations.generate import label_index
from service.operations.vectors import Found, from_seed


def from_recipe(model: Model, recipe: Mapping[str, Any]) -> Found:
    """The latent a picture's recipe claims; every claim is checked. Raises InvalidValueError or ConflictError."""
    if recipe.get("model") != model.reference:
        raise ConflictError(f"the picture was made by {str(recipe.get('model'))[:90]}, not by {model.reference}")
    found = found_of_recipe(model, recipe)
    try:
        truncation = float(recipe.get("truncation", 1.0))
    except (TypeError, ValueError):
        raise _bad_recipe("the recipe in this picture holds no latent of this model") from None
    if not 0.0 <= truncation <= 2.0:
        raise _bad_recipe("the recipe in this picture has an impossible truncation")
    vector = latents.truncate(found.vector, truncation)
    return replace(found, vector=vector, seed=found.seed if truncation == 1.0 else None)


def found_of_recipe(model: Model, recipe: Mapping[str, Any]) -> Found:
    """The latent before truncation, with seed and class, of one picture's recipe. Raises InvalidValueError."""
    label = recipe.get("label")
    try:
        index = None if label is None else label_index(model, str(label))
        found = _numbers(model, recipe)
    except (TypeError, ValueError, LatentError):
        raise _bad_recipe("the recipe in this picture holds no latent of this model") from None
    return replace(found, origin="image", label=found.label if label is None else index)


def floats_of(text: Any) -> Vector:
    """Base64 as float32 [n]. Raises InvalidValueError."""
    try:
        return np.frombuffer(base64.b64decode(str(text), validate=True), "<f4")
    except ValueError:
        raise _bad_recipe("the numbers in this recipe are damaged") from None


def _numbers(model: Model, recipe: Mapping[str, Any]) -> Found:
    if "items" in recipe:
        raise _bad_recipe("this is a contact sheet of several pictures; give one of them")
    if "seed" in recipe and "latent" not in recipe:
        if recipe.get("op") not in ("sample", None):
            raise _bad_recipe(f"a picture of {str(recipe.get('op'))[:40]!r} has no latent of its own")
        return from_seed(model, int(recipe["seed"]))
    data = base64.b64decode(str(recipe["latent"]), validate=True) if "latent" in recipe else b""
    expression = recipe.get("expression")
    vector = latents.check(model.manifest.latent, np.frombuffer(data, "<f4"))
    return Found(vector, "image", expression=str(expression)[:10_000] if expression else None)


def _bad_recipe(sentence: str) -> InvalidValueError:
    return InvalidValueError(sentence, pointer="/from/image")
