"""What a picture file says of itself in its first bytes: format and size, read without any decoder.

Microseconds and no memory, whatever the file claims: this is what refuses a bomb before anything opens it.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

PNG, JPEG, GIF, BMP, WEBP, TIFF = "PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"
FRAME_MARKERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
BARE_MARKERS = {0x01, *range(0xD0, 0xD8)}
MAX_TIFF_TAGS = 4096


@dataclass(frozen=True)
class Header:
    """Format and size in pixels; None where the file is cut off or damaged before it says so."""

    format: str
    width: int | None
    height: int | None

    @property
    def pixels(self) -> int:
        """Pixels the file claims to have, 0 when it does not say."""
        return (self.width or 0) * (self.height or 0)


def read_header(data: bytes) -> Header | None:
    """The header of a PNG, JPEG, GIF, BMP, WebP or TIFF; None for everything else (SVG, HTML, archives, ...)."""
    kind = _kind(data)
    if kind is None:
        return None
    try:
        width, height = _SIZES[kind](data)
    except (struct.error, IndexError, ValueError):
        return Header(kind, None, None)
    return Header(kind, width, height)


def _kind(data: bytes) -> str | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if data.startswith(b"\xff\xd8\xff"):
        return JPEG
    if data.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WEBP
    if data.startswith((b"II*\0", b"MM\0*")):
        return TIFF
    if data.startswith(b"BM"):
        return BMP
    return None


def _png(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _gif(data: bytes) -> tuple[int, int]:
    """The larger of screen and first frame cannot be known here; decoders draw on the screen."""
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _bmp(data: bytes) -> tuple[int, int]:
    (length,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<hh" if length == 12 else "<ii", data, 18)
    return abs(width), abs(height)


def _webp(data: bytes) -> tuple[int, int]:
    chunk = data[12:16]
    if chunk == b"VP8X":
        if len(data) < 30:
            raise ValueError("cut off")
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _jpeg(data: bytes) -> tuple[int, int]:
    place = 2
    while True:
        while data[place] != 0xFF:
            place += 1
        while data[place] == 0xFF:
            place += 1
        marker, place = data[place], place + 1
        if marker in BARE_MARKERS:
            continue
        if marker in FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", data, place + 3)
            return width, height
        if marker in {0xD9, 0xDA}:
            raise ValueError("pixels before the frame header")
        (length,) = struct.unpack_from(">H", data, place)
        place += max(length, 2)


def _tiff(data: bytes) -> tuple[int, int]:
    order = "<" if data.startswith(b"II") else ">"
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    sizes: dict[int, int] = {}
    for index in range(min(count, MAX_TIFF_TAGS)):
        tag, kind = struct.unpack_from(f"{order}HH", data, start + 2 + 12 * index)
        if tag in {256, 257}:
            code = {1: "B", 3: "H", 4: "I"}.get(kind, "I")
            (sizes[tag],) = struct.unpack_from(order + code, data, start + 10 + 12 * index)
    if len(sizes) < 2:
        raise ValueError("no size")
    return sizes[256], sizes[257]


_SIZES: dict[str, Callable[[bytes], tuple[int, int]]] = {
    PNG: _png,
    JPEG: _jpeg,
    GIF: _gif,
    BMP: _bmp,
    WEBP: _webp,
    TIFF: _tiff,
}
