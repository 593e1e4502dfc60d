"""PNG files from uint8 pixels: one filter for the whole picture, igzip's deflate, chunks written by hand.

Six times less work than Pillow at level 1 on a 64x64 face, at most 1.15 times the bytes of Pillow at level 6
(figures in docs/experiments.md). Lossless; the same pixels and chunks give the same bytes on the same kind of processor.
"""

import struct
from functools import lru_cache

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
SUB, UP = 1, 2
_WIDE = np.zeros(64, np.float32)
"""igzip's AVX code returns without clearing the upper halves of the vector registers. On Intel processors whatever uses the
lower halves afterwards (drawing latents, Python's own floats) then takes up to three times as long, until some code clears
them, as NumPy does after an operation on wide vectors: 0.3 us. Figures in docs/experiments.md."""


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk: length, kind, data, CRC."""
    crc = isal_zlib.crc32(data, isal_zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", crc)))


END = chunk(b"IEND", b"")


@lru_cache(256)
def header(height: int, width: int, channels: int) -> bytes:
    """The first chunk of a picture of that shape."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0))


def png(pixels: Pixels, chunks: bytes = b"") -> bytes:
    """The file of a picture uint8 [h, w, c], c = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; `chunks` go before the pixels."""
    height, width, channels = pixels.shape
    rows = pixels.reshape(height, width * channels)
    # Repeated rows shrink best as literal repeats of one filtered row; photographs shrink best against the row above.
    if _enlarged(rows):
        data = isal_zlib.compress(_sub(rows, channels), 3)
    else:
        data = isal_zlib.compress(_up(rows), 1)
    file = b"".join((SIGNATURE, header(height, width, channels), chunks, chunk(b"IDAT", data), END))
    np.negative(_WIDE, out=_WIDE)  # see there
    return file


def _enlarged(rows: Pixels) -> bool:
    """Whether rows repeat, as they do in pictures enlarged by whole squares; looked at where no sheet up to 12 high has a gap."""
    if len(rows) < 4:
        return False
    place, width = max(1, 5 * len(rows) // 13), rows.shape[1]
    three = rows[place - 1 : place + 2].tobytes()
    return three[width : 2 * width] in (three[:width], three[2 * width :])


def _up(rows: Pixels) -> Pixels:
    """Every row minus the one above it, modulo 256, each led by the filter's number."""
    filtered = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered


def _sub(rows: Pixels, channels: int) -> Pixels:
    """Every pixel minus its left neighbour, modulo 256, each row led by the filter's number."""
    filtered = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = SUB
    filtered[:, 1 : 1 + channels] = rows[:, :channels]
    np.subtract(rows[:, channels:], rows[:, :-channels], out=filtered[:, 1 + channels :])
    return filtered


def itxt(keyword: str, text: str, compressed: bool = False) -> bytes:
    """An international text chunk in UTF-8, deflated if `compressed`."""
    data = text.encode()
    body = isal_zlib.compress(data, 3) if compressed else data
    return chunk(b"iTXt", keyword.encode("latin-1") + bytes((0, compressed, 0, 0, 0)) + body)


def text(keyword: str, line: str) -> bytes:
    """A Latin-1 text chunk."""
    return chunk(b"tEXt", keyword.encode("latin-1") + b"\0" + line.encode("latin-1"))
