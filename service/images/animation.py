"""Frames to one moving picture: animated WebP and GIF."""

import io
from collections.abc import Sequence
from typing import Any

from PIL import Image

import save_files
from save_files import Metadata, Recipe
from service.images.encode import on_white, to_image
from service.images.png import Pixels

WEBP_QUALITY = 85


def animate(
    frames: Sequence[Pixels],
    media: str,
    fps: float,
    loop: bool,
    recipe: Recipe | None = None,
    metadata: Metadata = "full",
) -> bytes:
    """`image/webp` or `image/gif` of frames uint8 [h, w, c], all of one size. WebP keeps alpha; GIF lies on white.

    `loop` plays for ever, otherwise once. GIF counts hundredths of a second, so its speed is the nearest it can say.
    The recipe of the walk travels in EXIF (WebP) or in a comment (GIF).
    """
    gif = media == "image/gif"
    first, *rest = [_frame(frame, alpha=not gif) for frame in frames]
    buffer = io.BytesIO()
    if gif:
        options: dict[str, Any] = {"comment": save_files.comment(recipe, metadata)}
        options |= {"loop": 0} if loop else {}
        duration = max(20, round(100 / fps) * 10)
        first.save(buffer, "GIF", save_all=True, append_images=rest, duration=duration, disposal=1, **options)
        return save_files.in_gif(buffer.getvalue(), metadata)
    first.save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=rest,
        duration=round(1000 / fps),
        loop=0 if loop else 1,
        quality=WEBP_QUALITY,
        method=2,
        exif=save_files.exif(recipe, metadata),
        xmp=save_files.xmp(metadata),
    )
    return buffer.getvalue()


def _frame(pixels: Pixels, *, alpha: bool) -> Image.Image:
    picture = to_image(pixels)
    return picture if alpha and picture.mode == "RGBA" else on_white(picture)
