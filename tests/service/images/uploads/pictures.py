"""Picture files for tests: good ones in every format and mode, and hostile ones."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def photo(width: int = 48, height: int = 36) -> Image.Image:
    """A smooth colour picture in which left, right, top and bottom differ."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return Image.fromarray(np.rint(255 * np.stack([x, y, 1 - x], -1)).astype(np.uint8))


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    """The file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png_chunk(name: bytes, body: bytes) -> bytes:
    """One PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def hollow_png(width: int, height: int) -> bytes:
    """A small PNG that decodes to width x height black pixels: a decompression bomb when they are many."""
    packer = zlib.compressobj(9)
    row = b"\0" * (1 + (width + 7) // 8)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def text_bomb_png() -> bytes:
    """A tiny picture with a compressed comment that unpacks to half a gigabyte."""
    good = saved(photo(8, 8), "PNG")
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(512)) + packer.flush()
    return good[:33] + png_chunk(b"zTXt", b"Comment\0\0" + body) + good[33:]
