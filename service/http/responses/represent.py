"""A Result in the representation that was asked for."""

import base64
import dataclasses
import io
import json
import time
import uuid
import zipfile
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from save_files import Recipe, as_json, combined
from service.errors import NotAcceptableError
from service.http.negotiation import GIF, NPY, NPZ, ZIP
from service.images.animation import animate
from service.images.encode import ImageFormat, encode, encode_npy
from service.images.sheet import columns_of, contact_sheet
from service.operations.requests import Delivery
from service.operations.results import Document, Picture, Pictures, Result

FORMAT_OF: dict[str, ImageFormat] = {"image/png": "png", "image/webp": "webp", "image/jpeg": "jpeg"}
MOVING = ("image/webp", GIF)
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in a zip: the same pictures give the same bytes."""


def represent(result: Result, media: str, delivery: Delivery, base_url: str = "") -> Response:
    """The response of a finished result. Heavy work: call it in the encoder pool."""
    started = time.perf_counter()
    body = to_bytes(result, media, delivery, base_url, started)
    timing = {**result.timing_ms, "encode": (time.perf_counter() - started) * 1e3}
    return Response(body, media_type=media, headers=headers_of(result, timing))


def headers_of(result: Result, timing: dict[str, float]) -> dict[str, str]:
    """Server-Timing and the Ganymede-* headers of an answer."""
    headers = {"Server-Timing": ", ".join(f"{name};dur={ms:.2f}" for name, ms in timing.items())}
    if result.model:
        headers["Ganymede-Model"] = result.model
    if result.provider:
        headers["Ganymede-Provider"] = result.provider
    if isinstance(result, Pictures):
        seeds = [p.seed for p in result.pictures if p.seed is not None]
        if seeds:
            headers["Ganymede-Seed"] = ",".join(map(str, seeds[:64]))
        headers |= precision_headers(result)
    return headers


def precision_headers(result: Pictures) -> dict[str, str]:
    """What the recipes of fast pictures say of their precision; nothing for exact ones."""
    recipe = result.pictures[0].recipe if result.pictures else {}
    if recipe.get("precision") != "fast":
        return {}
    shown = ", ".join(f"{name}={steps}" for name, steps in recipe["difference"].items())
    return {"Ganymede-Precision": "fast", "Ganymede-Difference": shown}


def to_bytes(result: Result, media: str, delivery: Delivery, base_url: str, started: float) -> bytes:
    """The body of an answer. Raises NotAcceptableError for an array where there is none."""
    if isinstance(result, Document):
        return _document(result, media)
    if result.animation is not None and media in MOVING:
        frames = [picture.pixels for picture in result.pictures]
        return animate(
            frames,
            media,
            result.animation["fps"],
            result.animation["loop"],
            sheet_recipe(result),
            delivery.metadata,
        )
    if media in FORMAT_OF:
        return picture_bytes(result, FORMAT_OF[media], delivery)
    if media == ZIP:
        return _zip(result, delivery)
    if media == NPY:
        return encode_npy(_stack(result))
    if media == NPZ:
        return _arrays(result, delivery)
    return json.dumps(envelope(result, delivery, base_url, started)).encode()


def picture_bytes(result: Pictures, image_format: ImageFormat, delivery: Delivery) -> bytes:
    """One picture, or a contact sheet of several."""
    if len(result.pictures) == 1:
        only = result.pictures[0]
        return encode(only.pixels, image_format, only.recipe, delivery.metadata)
    sheet = contact_sheet([p.pixels for p in result.pictures], result.columns)
    return encode(sheet, image_format, sheet_recipe(result), delivery.metadata)


def sheet_recipe(result: Pictures) -> Recipe:
    """The recipe of a sheet: the recipes of its pictures in order, what they share said once; how many in a row."""
    if result.recipe is not None:
        return dict(result.recipe)
    return combined([p.recipe for p in result.pictures], columns_of(len(result.pictures), result.columns))


def envelope(result: Pictures, delivery: Delivery, base_url: str, encode_from: float | None = None) -> dict[str, Any]:
    """The JSON envelope of the HTTP contract."""
    if delivery.layout == "grid" and len(result.pictures) > 1:
        sheet = Picture(contact_sheet([p.pixels for p in result.pictures], result.columns), recipe=sheet_recipe(result))
        result = dataclasses.replace(result, pictures=(sheet,), columns=None, stack=None)
    data = [_entry(k, p, result.model, delivery, base_url) for k, p in enumerate(result.pictures)]
    timing = {"queue": 0.0, "compute": 0.0, **result.timing_ms}
    timing["encode"] = 0.0 if encode_from is None else (time.perf_counter() - encode_from) * 1e3
    body: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "model": result.model,
        "created": int(time.time()),
        "provider": result.provider,
        "data": data,
        "timing_ms": {k: round(v, 3) for k, v in timing.items()},
    }
    if result.notes:
        body["notes"] = list(result.notes)
    return {**body, **result.extra}


def _entry(index: int, picture: Picture, model: str, delivery: Delivery, base_url: str) -> dict[str, Any]:
    url = picture.url or image_url(picture, model, delivery.output_format)
    inline = delivery.response_format == "b64_json" or url is None
    data = encode(picture.pixels, delivery.output_format, picture.recipe, delivery.metadata) if inline else None
    return {
        "index": index,
        "seed": picture.seed,
        "url": None if url is None else base_url + url,
        "b64_json": None if data is None else base64.b64encode(data).decode(),
        "width": picture.pixels.shape[1],
        "height": picture.pixels.shape[0],
        "label": picture.label,
        "latent": picture.latent,
        "recipe": picture.recipe,
    }


def image_url(picture: Picture, model: str, image_format: str) -> str | None:
    """The pure address of a picture that a seed alone makes; None for others."""
    recipe = picture.recipe
    if picture.seed is None or recipe.get("op") != "sample":
        return None
    options: dict[str, Any] = {k: recipe[k] for k in ("label", "truncation", "scale", "precision") if k in recipe}
    query = f"?{urlencode(options)}" if options else ""
    return f"/images/{model}/{picture.seed}.{image_format}{query}"


def _zip(result: Pictures, delivery: Delivery) -> bytes:
    buffer = io.BytesIO()
    taken: set[str] = set()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for index, picture in enumerate(result.pictures):
            stem = str(picture.seed if picture.seed is not None else picture.latent or f"{index:04d}")
            stem = stem if stem not in taken else f"{stem}-{index:04d}"
            taken.add(stem)
            data = encode(picture.pixels, delivery.output_format, picture.recipe, delivery.metadata)
            archive.writestr(zipfile.ZipInfo(f"{stem}.{delivery.output_format}", EPOCH), data)
    return buffer.getvalue()


def _arrays(result: Pictures, delivery: Delivery) -> bytes:
    """Field `images` as npy has it; `seeds` where all have one; `recipe`, a byte string, unless no metadata is wanted."""
    fields: dict[str, NDArray[Any]] = {"images": _stack(result)}
    seeds = [p.seed for p in result.pictures if p.seed is not None]
    if len(seeds) == len(result.pictures):
        fields["seeds"] = np.array(seeds, np.uint32)
    if delivery.metadata == "full":
        recipe = sheet_recipe(result) if len(result.pictures) > 1 else result.pictures[0].recipe
        fields["recipe"] = np.array(as_json(recipe).encode())
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **fields)
    return buffer.getvalue()


def _stack(result: Pictures) -> NDArray[np.uint8]:
    shapes = {p.pixels.shape for p in result.pictures}
    if len(shapes) != 1:
        raise NotAcceptableError("the pictures differ in size; ask for application/zip")
    return result.array()


def _document(result: Document, media: str) -> bytes:
    if media == NPY:
        if result.array is None:
            raise NotAcceptableError("this answer has no array; ask for application/json")
        return encode_npy(result.array)
    return json.dumps(dict(result.body)).encode()
