"""POST /project without HTTP: the latent whose picture is nearest to a given one."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image
from pydantic import Field

from models.errors import RuntimeUnavailableError
from models.runtimes.base import Array, from_pixels, to_pixels
from models.runtimes.projection import Projection, Search
from models.runtimes.projection_by_differences import project_somehow
from save_files import Metadata
from service.engine.model import Model
from service.errors import NotInstalledError
from service.images.encode import encode
from service.images.uploads import Decoded
from service.operations.base import Attachments, Context, silent
from service.operations.generate import Want, generate, label_index, need_sampler
from service.operations.requests import Delivery, Fit, Label, ModelReference, Name, Seed, Tags
from service.operations.results import Pictures
from service.operations.vectors import Found, keep

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # Pillow's, by channels
POOR_DB = 22.0
"""Below this PSNR the found picture is visibly another one."""


class ProjectRequest(Delivery):
    """How to look for the latent of the picture sent along."""

    model: ModelReference | None = None
    label: Label | None = Field(None, description="Class to look in, for a conditional bundle; absent: the first.")
    fit: Fit = "crop"
    restarts: int = Field(6, ge=1, le=32, strict=True, description="Starting points that descend.")
    steps: int = Field(200, ge=10, le=5000, strict=True, description="Steps of each.")
    seed: Seed = Field(0, description="Of the starting points; the same seed finds the same latent.")
    scale: int = Field(1, ge=1, le=16)
    save_as: Name | None = None
    replace: bool = False
    tags: Tags = Field(default_factory=list)

    @property
    def count(self) -> int:
        """About how many pictures' work it is: a step forth and back costs three pictures."""
        return 256 + 3 * self.steps * (self.restarts + 2) // 2


async def project_picture(context: Context, request: ProjectRequest, attachments: Attachments) -> Pictures:
    """Decode, fit to the model's size, search, report the remaining distance, keep the latent if asked."""
    model = context.state.catalogue.get(request.model)
    need_sampler(model)
    label = label_index(model, request.label)
    decoded = await context.state.uploads.decode(attachments.get("image", b""))
    target = await asyncio.to_thread(fitted, decoded, model, request.fit)
    search = Search(restarts=request.restarts, steps=request.steps, seed=request.seed)
    found = await _search(context, model, target, search, label, request.metadata)
    extra = await _kept(context, model, request, found, label)
    return await _answer(context, model, request, found, label, extra)


def fitted(decoded: Decoded, model: Model, fit: str) -> Array:
    """An upload as the model's picture float32 [c, H, W] in -1..1; alpha counts where the model makes it."""
    image = model.manifest.image
    picture = Image.fromarray(decoded.pixels)
    if image.channels == 4 and decoded.alpha is not None:
        picture.putalpha(Image.fromarray(decoded.alpha))
    picture = _shaped(picture.convert(MODES[image.channels]), image.width / image.height, fit)
    picture = picture.resize((image.width, image.height), Image.Resampling.LANCZOS)
    array = np.asarray(picture, np.uint8)
    target: Array = from_pixels(array.reshape(1, image.height, image.width, image.channels))[0]
    return target


def _shaped(picture: Image.Image, shape: float, fit: str) -> Image.Image:
    """Cropped to the middle, or padded with black, to the ratio `shape` = width / height."""
    width, height = picture.size
    narrow = min(width, round(height * shape)), min(height, round(width / shape))
    wide = max(width, round(height * shape)), max(height, round(width / shape))
    if fit == "stretch":
        return picture
    box = [max(1, side) for side in (narrow if fit == "crop" else wide)]
    left, top = (width - box[0]) // 2, (height - box[1]) // 2
    return picture.crop((left, top, left + box[0], top + box[1]))


async def _search(
    context: Context, model: Model, target: Array, search: Search, label: int | None, metadata: Metadata
) -> Projection:
    """Run in a thread, one search at a time; a caller who leaves stops it within a step."""
    stop = threading.Event()
    threads = context.state.settings.engine_threads
    report = _reporter(context, asyncio.get_running_loop(), metadata)
    async with context.state.searching:
        try:
            return await asyncio.to_thread(
                project_somehow,
                model.bundle,
                target,
                search,
                label=label,
                threads=threads,
                progress=report,
                cancelled=stop.is_set,
            )
        except RuntimeUnavailableError as error:
            raise NotInstalledError(str(error)) from None
        finally:
            stop.set()


def _reporter(
    context: Context, loop: asyncio.AbstractEventLoop, metadata: Metadata
) -> Callable[[int, int, float, Array], None]:
    def report(done: int, total: int, psnr_db: float, picture: Array) -> None:
        data: dict[str, Any] = {"done": done, "total": total, "unit": "steps", "psnr_db": round(psnr_db, 2)}
        if context.emit is not silent:
            data["b64_json"] = encode(to_pixels(picture[None])[0], "png", None, metadata)
        asyncio.run_coroutine_threadsafe(context.emit("progress", data), loop)

    return report


async def _kept(
    context: Context, model: Model, request: ProjectRequest, found: Projection, label: int | None
) -> dict[str, Any]:
    extra: dict[str, Any] = {"distance": distance(found), "steps": found.steps}
    if request.save_as is not None:
        source, notes = Found(found.vector, "projection", label), distance(found)
        await keep(context, model, source, request.save_as, tags=request.tags, overwrite=request.replace, notes=notes)
        extra["saved"] = request.save_as
    return extra


def distance(found: Projection) -> dict[str, float]:
    """How far the found picture is from the one sent: PSNR in dB, and root mean square error in levels of 255."""
    return {"psnr_db": round(found.psnr_db, 2), "rmse_levels": round(found.rmse * 127.5, 2)}


async def _answer(
    context: Context, model: Model, request: ProjectRequest, found: Projection, label: int | None, extra: dict[str, Any]
) -> Pictures:
    notes: tuple[str, ...] = ()
    if found.psnr_db < POOR_DB:
        notes = (f"the generator cannot make this picture; the nearest it found is {found.psnr_db:.1f} dB away",)
    want = Want(found.vector, None, label, request.save_as, {"distance": distance(found)})
    # drawn by the engine like every other picture: what is made again from this recipe is this picture
    pictures = await generate(context, model, [want], scale=request.scale, op="project")
    return replace(pictures, notes=notes, extra=extra)
