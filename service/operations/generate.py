"""The common second half: latents and labels in, Pictures with recipes out."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import numpy as np

from models.mathematics.latents import Vector, truncate
from service.engine.engine import Engine, OnLevel
from service.engine.model import Model, Precision
from service.errors import InvalidValueError, TooLargeError, UnavailableError
from service.images.encode import magnify
from service.images.png import Pixels
from service.latents.record import to_base64
from service.operations.base import Context
from service.operations.results import Picture, Pictures
from service.settings import Settings

RECIPE_VERSION = 1
INLINE_PICTURES = 64
"""More pictures than this are drawn and described in a thread: a hop costs nothing then, and others are answered meanwhile."""
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Want:
    """One picture that is wanted: its latent [size] and what it is called."""

    vector: Vector
    seed: int | None
    label: int | None
    latent: str | None = None
    recipe: dict[str, Any] | None = None


async def off_loop(pictures: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` gives, made in a thread when it is about many pictures."""
    if pictures <= INLINE_PICTURES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


def engine_of(context: Context) -> Engine:
    """The engine of this process. Raises UnavailableError in a process without one."""
    if context.state.engine is None:
        raise UnavailableError("this process has no engine")
    return context.state.engine


async def computed(context: Context, model: Model, precision: Precision | None) -> Model:
    """The model as it is computed at the precision asked for, or else the server's."""
    return await model.at(precision or context.state.settings.precision)


async def generate(
    context: Context,
    model: Model,
    wants: Sequence[Want],
    *,
    truncation: float = 1.0,
    scale: int = 1,
    op: str = "sample",
    on_level: OnLevel | None = None,
    columns: int | None = None,
) -> Pictures:
    """Run the generator for all wants and describe each picture. Raises TooLargeError before computing too much."""
    check_result_pixels(context.state.settings, model, len(wants), scale)
    started = time.perf_counter()
    rows = wants[0].vector[None] if len(wants) == 1 else np.stack([want.vector for want in wants])
    vectors = truncate(rows, truncation)
    pixels = await engine_of(context).pixels(
        model,
        vectors,
        [want.label for want in wants],
        on_level=on_level,
        **context.terms(),
    )
    compute_ms = (time.perf_counter() - started) * 1e3
    pixels = magnify(pixels, scale)
    pictures = await off_loop(len(wants), describe, model, wants, pixels, truncation, scale, op)
    return Pictures(model.reference, model.provider, pictures, {"compute": compute_ms}, columns=columns, stack=pixels)


def describe(
    model: Model, wants: Sequence[Want], pixels: Pixels, truncation: float, scale: int, op: str
) -> tuple[Picture, ...]:
    """Every want with its pixels, of [n, h, w, c] as they are shown, and its recipe; in order."""
    return tuple(
        Picture(
            pixels=own,
            seed=want.seed,
            label=model.label_name(want.label),
            latent=want.latent,
            recipe=recipe_of(model, want, truncation, scale, op),
        )
        for want, own in zip(wants, pixels, strict=True)
    )


def recipe_of(model: Model, want: Want, truncation: float, scale: int, op: str) -> dict[str, Any]:
    """What makes the picture again: the model's digest, the seed or the latent itself, label and options."""
    recipe: dict[str, Any] = {"version": RECIPE_VERSION, "op": op, **model.identity}
    if want.seed is not None:
        recipe["seed"] = want.seed
    else:
        recipe["latent"] = to_base64(want.vector)
    for key, value in (("name", want.latent), ("label", model.label_name(want.label))):
        if value is not None:
            recipe[key] = value
    recipe |= {"truncation": truncation} if truncation != 1.0 else {}
    recipe |= {"scale": scale} if scale != 1 else {}
    return recipe | (want.recipe or {})


def pixels_of(model: Model, count: int, scale: int) -> int:
    """Pixels of so many pictures together."""
    return count * model.manifest.image.width * model.manifest.image.height * scale * scale


def check_result_pixels(settings: Settings, model: Model, count: int, scale: int) -> None:
    """Raises TooLargeError when the pictures of one answer would have too many pixels together."""
    pixels = pixels_of(model, count, scale)
    if pixels > settings.max_result_pixels:
        raise TooLargeError(f"{pixels} pixels in one answer; the limit is {settings.max_result_pixels}")


def label_index(model: Model, label: str | int | None, seed: int | None = None) -> int | None:
    """Index of the asked label; without one, seed modulo the number of classes. Raises InvalidValueError."""
    names = model.manifest.labels
    if names is None:
        if label is not None:
            raise InvalidValueError(
                f"{model.bundle.name} takes no label", pointer="/label", hint="the model has no labels"
            )
        return None
    if label is None:
        return (seed or 0) % len(names)
    try:
        return model.label_index(label)
    except KeyError:
        shown = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
        raise InvalidValueError(
            f"{model.bundle.name} has no label {label!r}", pointer="/label", hint=f"one of: {shown}"
        ) from None


def need_sampler(model: Model) -> None:
    """Raises InvalidValueError for a bundle that only sharpens pictures."""
    if not model.manifest.samples:
        raise InvalidValueError(
            f"{model.bundle.name} sharpens pictures and cannot make them from latents; POST /upsample takes it",
            pointer="/model",
            hint="not a sampler",
        )
