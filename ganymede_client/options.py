"""The keyword arguments of the client's methods, as types; a test compares them with what the server takes."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict


class Delivery(TypedDict, total=False):
    """How an answer is wanted. None means: leave it to the server."""

    output_format: Literal["png", "webp", "jpeg"] | None
    layout: Literal["images", "grid"] | None
    metadata: Literal["full", "minimal", "none"] | bool | None
    timeout_ms: int | None
    webhook: str | None


class Generation(Delivery, total=False):
    """What every operation takes that runs a generator."""

    model: str | None
    label: str | int | None
    truncation: float | None
    scale: int | None
    precision: Literal["exact", "fast"] | None


class Keeping(TypedDict, total=False):
    """What is kept, and under which tags."""

    save_as: str | None
    replace: bool | None
    tags: Sequence[str] | None


class Sample(Generation, total=False):
    """POST /sample. A latent is a name or {"values": [...]}."""

    n: int | None
    seed: int | None
    seeds: Sequence[int] | None
    latents: Sequence[str | Mapping[str, Any]] | None
    save_as: str | None


class Arithmetic(Generation, Keeping, total=False):
    """POST /arithmetic, besides the expression."""

    terms: Sequence[Mapping[str, Any]] | None
    normalize: bool | None
    neighbourhood: Mapping[str, Any] | None


class Interpolate(Generation, total=False):
    """POST /interpolate, besides the stops."""

    frames: int | None
    method: Literal["slerp", "lerp"] | None
    loop: bool | None
    detail: Literal["moving", "fixed"] | None
    fps: float | None


class Upsample(Delivery, total=False):
    """POST /upsample, besides the picture."""

    model: str | None
    label: str | int | None
    factor: int | None
    levels: int | None
    start_size: int | None
    seed: int | None
    level_seeds: Sequence[int] | None
    noise: float | None
    faithful: bool | None
    variants: int | None
    precision: Literal["exact", "fast"] | None


class Project(Delivery, Keeping, total=False):
    """POST /project, besides the picture."""

    model: str | None
    label: str | int | None
    scale: int | None
    fit: Literal["crop", "pad", "stretch"] | None
    restarts: int | None
    steps: int | None
    seed: int | None


class Redo(Delivery, total=False):
    """POST /redo, besides the save file. `source`: what a sharpened picture was made from."""

    source: bytes | None


class Classify(TypedDict, total=False):
    """POST /classify and /features, besides the picture."""

    model: str | None
    label: str | int | None
    fit: Literal["crop", "pad", "stretch"] | None
    invert: bool | None
    timeout_ms: int | None
    webhook: str | None


class Save(TypedDict, total=False):
    """POST /latents, besides name and source."""

    model: str | None
    tags: Sequence[str] | None
    replace: bool | None


class Filters(TypedDict, total=False):
    """GET /latents, besides the rest of a page."""

    model: str | None
    tag: str | None
    q: str | None
    cursor: str | None
    limit: int | None
