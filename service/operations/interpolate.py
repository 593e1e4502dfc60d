"""POST /interpolate without HTTP: a walk through saved latents, seeds or expressions, frame by frame."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from models.errors import LatentError
from models.mathematics.walks import default_method, positions, walk
from service.engine.model import Model
from service.errors import InvalidValueError
from service.images.encode import encode
from service.latents.record import to_base64
from service.operations.base import Attachments, Context, silent
from service.operations.generate import Want, check_result_pixels, computed, generate, label_index, need_sampler
from service.operations.lookup import model_for
from service.operations.parts import merged
from service.operations.requests import Generation
from service.operations.results import Pictures
from service.operations.stops import StopLike, found_at, node_of, stop_of
from service.operations.vectors import Found
from service.settings import Settings

CHUNK = 16


class InterpolateRequest(Generation):
    """A walk of `frames` frames through the stops; every stop is one of the frames."""

    stops: list[StopLike] = Field(
        min_length=2, max_length=64, description="Seeds, names of saved latents, expressions, or objects saying which."
    )
    frames: int = Field(16, ge=2, le=100_000, strict=True)
    method: Literal["slerp", "lerp"] | None = Field(
        None, description="Absent: slerp for normal priors, lerp for uniform."
    )
    loop: bool = Field(False, description="Back to the first stop; the last frame is one step before it.")
    detail: Literal["moving", "fixed"] = Field(
        "moving", description="fixed: the noise planes of finer levels stay as at the first stop."
    )
    fps: float = Field(12.0, gt=0, le=60, description="Frames a second of an animated WebP or GIF.")


async def interpolate(context: Context, request: InterpolateRequest, attachments: Attachments) -> Pictures:
    """Resolve the stops, walk, make the frames in small groups and report each as soon as it exists."""
    check_frames(context.state.settings, request)
    asked = [(f"/stops/{k}", stop_of(stop)) for k, stop in enumerate(request.stops)]
    nodes = [node_of(stop, pointer) for pointer, stop in asked]
    model = await model_for(context, request.model, [node for node in nodes if node is not None])
    need_sampler(model)
    check_result_pixels(context.state.settings, model, request.frames, request.scale)
    model = await computed(context, model, request.precision)
    pairs = zip(asked, nodes, strict=True)
    stops = [await found_at(context, model, stop, node, pointer) for (pointer, stop), node in pairs]
    wants = context.mine(_wants(model, request, stops))
    return replace(
        merged([part async for part in _frames(context, model, request, wants)]),
        notes=_notes(request, stops),
        extra={"frames": request.frames, "stops": _positions(request), "method": _method(model, request)},
        recipe=_recipe(model, request, stops),
        animation={"fps": request.fps, "loop": request.loop},
    )


def check_frames(settings: Settings, request: InterpolateRequest) -> None:
    """Raises InvalidValueError for more frames than the limit or fewer than stops; before a walk is queued, too."""
    limit = settings.max_frames
    if request.frames > limit:
        raise InvalidValueError(
            f"{request.frames} frames in one walk; the limit is {limit}", pointer="/frames", hint=f"at most {limit}"
        )
    if request.frames < len(request.stops):
        sentence = f"{request.frames} frames cannot show {len(request.stops)} stops"
        raise InvalidValueError(sentence, pointer="/frames")


def _wants(model: Model, request: InterpolateRequest, stops: list[Found]) -> list[Want]:
    try:
        vectors = walk(
            model.manifest.latent,
            [stop.vector for stop in stops],
            request.frames,
            method=request.method,
            loop=request.loop,
            detail=request.detail,
        )
    except LatentError as error:
        raise InvalidValueError(str(error), pointer="/frames") from None
    labels = _labels(model, request, stops)
    return [Want(v, None, c, None, {"frame": k}) for k, (v, c) in enumerate(zip(vectors, labels, strict=True))]


def _labels(model: Model, request: InterpolateRequest, stops: list[Found]) -> list[int | None]:
    """The class asked for; else that of the nearer stop, so the class changes half way."""
    own = _own_labels(model, request, stops)
    places = positions(len(stops), request.frames, request.loop)
    return [own[(leg + (share >= 0.5)) % len(own)] for leg, share in places]


def _own_labels(model: Model, request: InterpolateRequest, stops: list[Found]) -> list[int | None]:
    """The class of every stop."""
    if request.label is not None:
        return [label_index(model, request.label)] * len(stops)
    return [stop.label if stop.label is not None else label_index(model, None, stop.seed) for stop in stops]


async def _frames(
    context: Context, model: Model, request: InterpolateRequest, wants: Sequence[Want]
) -> AsyncIterator[Pictures]:
    """The frames in small groups. Groups keep their order, so a stream shows the walk as it is made."""
    for start in range(0, len(wants), CHUNK):
        group = wants[start : start + CHUNK]
        made = await generate(
            context, model, group, truncation=request.truncation, scale=request.scale, op="interpolate"
        )
        await context.emit("progress", {"done": start + len(group), "total": len(wants), "unit": "frames"})
        if context.emit is not silent:
            await _report(context, request, context.first + start, made)
        yield made


async def _report(context: Context, request: InterpolateRequest, first: int, made: Pictures) -> None:
    """To listeners, a `frame` event each: a save file like the frames of the result."""
    for k, picture in enumerate(made.pictures):
        png = await asyncio.to_thread(encode, picture.pixels, "png", picture.recipe, request.metadata)
        data = {"index": first + k, "total": request.frames, "b64_json": png}
        await context.emit("frame", data)


def _positions(request: InterpolateRequest) -> list[int]:
    """Which frames the stops are."""
    places = positions(len(request.stops), request.frames, request.loop)
    return [frame for frame, (_, share) in enumerate(places) if share == 0]


def _method(model: Model, request: InterpolateRequest) -> str:
    return request.method or default_method(model.manifest.latent)


def _notes(request: InterpolateRequest, stops: list[Found]) -> tuple[str, ...]:
    notes = [note for stop in stops for note in stop.notes]
    if request.label is None and len({stop.label for stop in stops}) > 1:
        notes.append("the stops have several labels; each frame takes that of the nearer stop, set label for one")
    return tuple(dict.fromkeys(notes))


def _recipe(model: Model, request: InterpolateRequest, stops: list[Found]) -> dict[str, Any]:
    """The walk as a whole: its stops as numbers, which is shorter than every frame's."""
    rows = [to_base64(stop.vector) for stop in stops]
    walked = {k: getattr(request, k) for k in ("frames", "loop", "detail", "truncation", "scale", "fps")}
    shared = {"version": 1, "op": "interpolate", **model.identity, "method": _method(model, request)}
    names = [model.label_name(index) for index in _own_labels(model, request, stops)]
    labels = {} if model.manifest.labels is None else {"labels": names}
    return {**shared, **walked, **labels, "stops": rows, "items": []}
