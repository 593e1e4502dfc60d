"""POST /upsample without HTTP: a picture enters the chain as the coarse one and is sharpened level by level."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import Field, PrivateAttr, model_validator

from models.mathematics.latents import PlaneStream, cut, draw, seed_range
from models.mathematics.pyramid import faithful
from models.runtimes.base import Array, one_hot, to_pixels
from service.engine.model import Model
from service.errors import InvalidValueError, NotFoundError
from service.images.encode import encode
from service.images.png import Pixels
from service.images.uploads import Header
from service.operations.base import Attachments, Context, silent
from service.operations.generate import computed, engine_of, label_index
from service.operations.requests import Delivery, Label, ModelReference, PrecisionField, Seed, pin_seed
from service.operations.results import Picture, Pictures
from service.operations.state import State
from service.operations.tiles import CORE, Tile, tiles
from service.operations.upsample_plan import Alpha, Plan, Step, check_pixels, entry_picture, plan, with_alpha

TILES_AT_ONCE = 4


class UpsampleRequest(Delivery):
    """How the picture is sharpened; the picture itself is the attachment `image`."""

    model: ModelReference | None = None
    factor: int | None = Field(None, ge=2, le=64, strict=True, description="Enlargement; absent: see the bundle.")
    levels: int | None = Field(None, ge=1, le=16, strict=True, description="Levels to run, instead of factor.")
    start_size: int | None = Field(None, ge=1, le=2048, strict=True, description="Side a fixed bundle starts from.")
    label: Label | None = Field(None, description="Class name or number of a conditional bundle; absent: none.")
    seed: Seed | None = None
    level_seeds: list[Seed] | None = Field(
        None, min_length=1, max_length=16, description="One seed a level, to re-roll one level alone."
    )
    noise: float = Field(1.0, ge=0.0, le=2.0, description="Scales the noise; 0 gives the mean detail.")
    faithful: bool = Field(False, description="Every level, scaled back down, is its input within 1/255.")
    variants: int = Field(1, ge=1, le=64, strict=True, description="Pictures, with seeds seed ... seed+variants-1.")
    precision: PrecisionField = None
    _tiles: int = PrivateAttr(default=1)

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> "UpsampleRequest":
        if self.factor is not None and self.levels is not None:
            raise ValueError("give factor or levels, not both")
        if self.level_seeds is not None and (self.seed is not None or self.variants != 1):
            raise ValueError("level_seeds stands instead of seed and makes one variant")
        return self

    @property
    def cost(self) -> int:
        """Pictures' worth of work: tiles as far as `precheck` could see, times variants."""
        return self._tiles * self.variants


@dataclass(frozen=True)
class Work:
    """Everything the levels of one request need."""

    context: Context
    model: Model
    request: UpsampleRequest
    plan: Plan
    seeds: Sequence[int]
    label: int | None


async def upsample(context: Context, request: UpsampleRequest, attachments: Attachments) -> Pictures:
    """Decode, plan, run the levels, report each. Raises what uploads, plans and the engine raise."""
    if "image" not in attachments:
        raise InvalidValueError("there is no picture", pointer="/image", hint="needed")
    model = await computed(context, model_of(context.state, request), request.precision)
    decoded = await context.state.uploads.decode(attachments["image"])
    height, width, _ = decoded.pixels.shape
    chosen = _planned(context.state, model, request, height, width)
    label = None if request.label is None else label_index(model, request.label)
    work = Work(context, model, request, chosen, context.mine(_seeds(request)), label)
    entry, alpha, notes = await asyncio.to_thread(entry_picture, model.manifest, chosen, decoded)
    started = time.perf_counter()
    source = hashlib.sha256(attachments["image"]).hexdigest()[:16]
    pictures = await _variants(work, entry, alpha, source)
    compute_ms = (time.perf_counter() - started) * 1e3
    timing, extra = {"compute": compute_ms}, {"factor": chosen.factor, "levels": len(chosen.steps)}
    return Pictures(model.reference, model.provider, pictures, timing, notes=notes, extra=extra)


def precheck(state: State, request: UpsampleRequest, header: Header) -> None:
    """From the picture's header, before anything is decoded or queued: refuse what cannot be made, set the cost."""
    model = model_of(state, request)
    if header.width and header.height:
        _planned(state, model, request, header.height, header.width)
    upsampling = model.manifest.upsampling
    if upsampling is not None and upsampling.kind == "any-size":
        growth = (request.factor or 2 ** (request.levels or 1)) ** 2
        request._tiles = max(1, header.pixels * (growth - 1) // 3 // CORE**2)


def model_of(state: State, request: UpsampleRequest) -> Model:
    """The model asked for; without one, an upsampler of any size, else any upsampler. Raises NotFoundError."""
    if request.model is not None:
        return state.catalogue.get(request.model)
    upsamplers = [m for m in state.catalogue.all() if m.manifest.upsampling is not None]
    if not upsamplers:
        raise NotFoundError("no bundle that enlarges pictures is loaded")
    return min(upsamplers, key=lambda m: m.manifest.upsampling.kind != "any-size")  # type: ignore[union-attr]


def _seeds(request: UpsampleRequest) -> list[int]:
    if request.level_seeds is not None:
        return [request.level_seeds[0]]
    return seed_range(pin_seed(request).seed or 0, request.variants)


def _planned(state: State, model: Model, request: UpsampleRequest, height: int, width: int) -> Plan:
    """The plan for a picture of that size. Raises what plans raise, and InvalidValueError for too few or many seeds."""
    chosen = plan(
        model.manifest, height, width, factor=request.factor, levels=request.levels, start_size=request.start_size
    )
    check_pixels(state.settings, chosen, request.variants)
    if request.level_seeds is not None and len(request.level_seeds) != len(chosen.steps):
        sentence = f"one for each of the {len(chosen.steps)} levels"
        raise InvalidValueError(f"level_seeds must be {sentence}", pointer="/level_seeds", hint=sentence)
    return chosen


async def _variants(work: Work, entry: Array, alpha: Alpha | None, source: str) -> tuple[Picture, ...]:
    """All variants: together where sizes are small, one after the other where they are large."""
    if work.plan.any_size:
        groups = [await _run(replace(work, seeds=[seed]), entry, alpha, source, k) for k, seed in enumerate(work.seeds)]
        return tuple(picture for group in groups for picture in group)
    return await _run(work, entry.repeat(len(work.seeds), axis=0), alpha, source, 0)


async def _run(work: Work, entry: Array, alpha: Alpha | None, source: str, first: int) -> tuple[Picture, ...]:
    """The levels one after the other; each is reported before the next is computed."""
    picture, streams, shown = entry, _streams(work), []
    await _report_entry(work, entry)
    for index, step in enumerate(work.plan.steps):
        noises = await asyncio.to_thread(_noises, work, streams, index, step)
        if work.plan.any_size:
            picture = await _tiled_level(work, step, picture, noises)
        else:
            picture = await _level(work, step, picture, noises)
        last = index + 1 == len(work.plan.steps)
        if last or work.context.emit is not silent:
            shown = await asyncio.to_thread(_pictures, work, picture, alpha, source, index)
        await _report(work, shown, first, index)
    return tuple(shown)


def _streams(work: Work) -> list[PlaneStream]:
    """Where an any-size level's noise comes from: one stream, or one a level with `level_seeds`."""
    if not work.plan.any_size:
        return []
    prior = work.model.manifest.latent.distribution
    return [PlaneStream(prior, seed) for seed in work.request.level_seeds or work.seeds]


def _noises(work: Work, streams: list[PlaneStream], index: int, step: Step) -> Array:
    """Noise [n, 1, height, width] of the step for every seed, scaled."""
    if work.plan.any_size:
        plane = _plane(work, streams, index, step)
    else:
        seeds = [work.request.level_seeds[index]] if work.request.level_seeds else work.seeds
        plane = cut(work.model.manifest.latent, draw(work.model.manifest.latent, seeds))[step.level]
    return np.ascontiguousarray(plane * np.float32(work.request.noise), np.float32)


def _plane(work: Work, streams: list[PlaneStream], index: int, step: Step) -> Array:
    if work.request.noise == 0:
        return np.zeros((1, 1, step.height, step.width), np.float32)
    if work.request.level_seeds is None:
        return streams[0].plane(step.height, step.width)[None]
    for earlier in work.plan.steps[:index]:
        streams[index].skip(earlier.height, earlier.width)
    return streams[index].plane(step.height, step.width)[None]


async def _level(work: Work, step: Step, previous: Array, noises: Array) -> Array:
    """One level of fixed size for all variants at once."""
    labels = work.model.manifest.labels
    label = one_hot([work.label] * len(previous), len(labels)) if labels else None
    made = await _engine_level(work, step, previous, noises, label)
    return await asyncio.to_thread(faithful, made, previous) if work.request.faithful else made


async def _tiled_level(work: Work, step: Step, previous: Array, noises: Array) -> Array:
    """One any-size level in tiles, a few at once; memory is the two pictures and those few."""
    _, channels, height, width = previous.shape
    factor = step.height // height
    result = np.empty((1, channels, step.height, step.width), np.float32)
    slots = asyncio.Semaphore(TILES_AT_ONCE)
    cut_up = list(tiles(height, width, work.model.manifest.levels[step.level].halo))

    async def one(tile: Tile) -> None:
        async with slots:
            window = np.ascontiguousarray(previous[(..., *tile.window())])
            noise = np.ascontiguousarray(noises[(..., *tile.window(factor))])
            made = (await _engine_level(work, step, window, noise, None))[(..., *tile.core_in_window(factor))]
            if work.request.faithful:
                made = await asyncio.to_thread(faithful, made, previous[(..., *tile.core())])
            result[(..., *tile.core(factor))] = made

    try:
        async with asyncio.TaskGroup() as group:
            for tile in cut_up:
                group.create_task(one(tile))
    except ExceptionGroup as failed:  # the first failure cancels the other tiles; it alone is the answer
        raise failed.exceptions[0] from None
    return result


async def _engine_level(work: Work, step: Step, previous: Array, noise: Array, label: Array | None) -> Array:
    context = work.context
    return await engine_of(context).run_level(
        work.model,
        step.level,
        previous,
        noise,
        label,
        **context.terms(),
    )


def _pictures(work: Work, images: Array, alpha: Alpha | None, source: str, index: int) -> list[Picture]:
    pixels: Sequence[Pixels] = [with_alpha(one, alpha) for one in to_pixels(images)]
    label = work.model.label_name(work.label)
    return [
        Picture(shown, seed=seed, label=label, recipe=_recipe(work, seed, source, index))
        for shown, seed in zip(pixels, work.seeds, strict=True)
    ]


def _recipe(work: Work, seed: int, source: str, index: int) -> dict[str, Any]:
    """What makes the picture again from the same upload: `input` begins the sha256 of its bytes."""
    request, levels = work.request, index + 1
    recipe: dict[str, Any] = {"version": 1, "op": "upsample", **work.model.identity, "input": source}
    recipe |= {"levels": levels, "factor": work.plan.steps[index].height // work.plan.height}
    recipe |= {"seed": seed} if request.level_seeds is None else {"level_seeds": request.level_seeds[:levels]}
    recipe |= {} if work.plan.any_size else {"start_size": work.plan.height}
    recipe |= {"noise": request.noise} if request.noise != 1.0 else {}
    recipe |= {"faithful": True} if request.faithful else {}
    return recipe | ({} if work.label is None else {"label": work.model.label_name(work.label)})


async def _report_entry(work: Work, entry: Array) -> None:
    """To listeners, an `entry` event: what a bundle of fixed sizes made of the picture before its first level."""
    if work.plan.any_size or work.context.emit is silent:
        return
    png = await asyncio.to_thread(encode, to_pixels(entry[:1])[0], "png", None, "none")
    await work.context.emit("entry", {"size": [work.plan.height, work.plan.width], "b64_json": png})


async def _report(work: Work, shown: list[Picture], first: int, index: int) -> None:
    """`progress`, and to listeners a `level` event for each variant: size, seed, PNG."""
    total = len(work.plan.steps)
    await work.context.emit("progress", {"done": index + 1, "total": total, "unit": "levels"})
    if work.context.emit is silent:
        return
    loop, pool = asyncio.get_running_loop(), work.context.state.encoders
    for k, picture in enumerate(shown):
        png = await loop.run_in_executor(pool, encode, picture.pixels, "png", picture.recipe, work.request.metadata)
        height, width, _ = picture.pixels.shape
        data = {"level": index, "index": work.context.first + first + k, "seed": picture.seed, "size": [height, width]}
        await work.context.emit("level", {**data, "b64_json": png})
