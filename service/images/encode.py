"""uint8 pixels to PNG, WebP, JPEG or npy bytes."""

import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import save_files
from save_files import Metadata, Recipe
from service.images.png import Pixels, png
from service.images.recipe import png_chunks

ImageFormat = Literal["png", "webp", "jpeg"]

MEDIA_TYPES: dict[str, str] = {
    "png": "image/png",
    "webp": "image/webp",
    "jpeg": "image/jpeg",
    "npy": "application/x-npy",
}
WEBP_QUALITY = 90
JPEG_QUALITY = 92


def to_image(pixels: Pixels) -> Image.Image:
    """uint8 [h, w, c] with c = 1 (grey), 3 (RGB) or 4 (RGBA) as a Pillow image, without copying."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def on_white(picture: Image.Image) -> Image.Image:
    """Any picture as RGB, transparent parts showing white paper."""
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    paper = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    return Image.alpha_composite(paper, picture).convert("RGB")


def encode(
    pixels: Pixels, image_format: ImageFormat, recipe: Recipe | None = None, metadata: Metadata = "full"
) -> bytes:
    """One picture as a file, its recipe inside; the same pixels and recipe give the same bytes.

    PNG and WebP keep alpha; JPEG has none, there the picture lies on white.
    """
    if image_format == "png":
        return png(pixels, png_chunks(recipe, metadata))
    buffer = io.BytesIO()
    picture = to_image(pixels)
    if image_format == "webp":
        blocks = {"exif": save_files.exif(recipe, metadata), "xmp": save_files.xmp(metadata)}
        picture.save(buffer, "WEBP", quality=WEBP_QUALITY, method=2, **blocks)
        return buffer.getvalue()
    flat = on_white(picture) if picture.mode == "RGBA" else picture
    flat.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return save_files.in_jpeg(buffer.getvalue(), recipe, metadata)


def encode_npy(stack: NDArray[np.generic]) -> bytes:
    """An array in NumPy's npy format, never pickled."""
    rows, head = np.ascontiguousarray(stack), io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(rows))
    return b"".join((head.getvalue(), rows.data))  # one copy; np.save makes two


def magnify(pixels: Pixels, scale: int) -> Pixels:
    """[..., h, w, c] with every pixel as a scale x scale square: sharp enlargement for small pictures."""
    return pixels if scale == 1 else pixels.repeat(scale, axis=-3).repeat(scale, axis=-2)
