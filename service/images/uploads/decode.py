"""A picture file as upright sRGB pixels and alpha. Runs in a child process with bounded memory, never in the server."""

import io
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

ORIENTATION_TAG = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BROKEN = (
    *(OSError, ValueError, SyntaxError, EOFError, KeyError, TypeError, IndexError, OverflowError, struct.error),
    NotImplementedError,
)
"""What Pillow's decoders raise for damaged files."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Decoded:
    """Upright pixels uint8 [h, w, 3] in sRGB, alpha uint8 [h, w] or None, and the file's format."""

    pixels: Pixels
    alpha: Pixels | None
    format: str


def decode(data: bytes, file_format: str, max_pixels: int) -> Decoded:
    """Open as exactly `file_format`, first frame only. Raises OSError or ValueError with a reason for damaged files,
    MemoryError for files that need too much.
    """
    with Image.open(io.BytesIO(data), formats=(file_format,)) as image:
        if image.width * image.height > max_pixels:
            raise MemoryError(f"{image.width} x {image.height} pixels")
        turn = TURNS.get(_orientation(image))
        image.load()
        colour, alpha = _split_alpha(image)
        colour = _to_srgb(colour, image.info.get("icc_profile"))
    if turn is not None:
        colour, alpha = colour.transpose(turn), None if alpha is None else alpha.transpose(turn)
    return Decoded(np.asarray(colour, np.uint8), None if alpha is None else np.asarray(alpha, np.uint8), file_format)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1..8; 1 when there is none or it cannot be read."""
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except BROKEN:
        return 1
    return value if isinstance(value, int) else 1


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colour without alpha, and the alpha plane (mode L) where the picture has one that matters."""
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        layered = image.convert("RGBA")
        return layered.convert("RGB"), layered.getchannel("A")
    return image, None


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Any mode as RGB; by the embedded colour profile where it fits, so that a wide-gamut phone photo keeps its colours."""
    if image.mode.startswith(("I", "F")):
        return _eight_bits(image).convert("RGB")
    if image.mode not in {"RGB", "L", "CMYK"}:
        image = image.convert("RGB")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, *BROKEN):
            return image.convert("RGB")  # a damaged profile, or one of another colour space: the numbers as they are
        return converted if converted is not None else image.convert("RGB")
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit greys by 257; 32-bit integers and floats by their own largest value when they exceed their usual range."""
    values = np.asarray(image, np.float32)
    if not np.isfinite(values).all():
        raise ValueError("values that are not finite")
    usual = 1.0 if image.mode == "F" and float(values.max(initial=0.0)) <= 1.0 else 65535.0
    if image.mode == "F" and usual != 1.0:
        usual = 255.0
    top = max(usual, float(values.max(initial=0.0)))
    return Image.fromarray(np.rint(np.clip(values / top, 0, 1) * 255).astype(np.uint8))
