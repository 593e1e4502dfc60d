"""Walks the blocks of PNG, WebP, JPEG and GIF files and yields the texts inside, without decoding a pixel.

A file that ends too early, or lies about a length, simply has no more texts.
"""

import struct
import zlib
from collections.abc import Iterator

from save_files.tiff import user_comment
from save_files.write import MARK

KEYWORD = b"ganymede"
_MARK = MARK.encode()


def texts(data: bytes, limit: int) -> Iterator[bytes]:
    """Every text of a file that could be a recipe of ours, `ganymede {…}`, at most `limit` bytes each when unpacked."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        yield from _png(data, limit)
    elif data.startswith(b"\xff\xd8"):
        yield from _jpeg(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        yield from _webp(data)
    elif data.startswith((b"GIF87a", b"GIF89a")):
        yield from _gif(data)


def _png(data: bytes, limit: int) -> Iterator[bytes]:
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        if kind == b"iTXt":
            yield from _international(body, limit)
        elif kind == b"tEXt":  # what ImageMagick makes of a JPEG's or GIF's comment
            yield body.partition(b"\0")[2]
        elif kind == b"eXIf":
            yield user_comment(body)
        at += 12 + length


def _international(body: bytes, limit: int) -> Iterator[bytes]:
    """The text of an iTXt chunk `ganymede`: flag, method, language, translated keyword, then the text, deflated or not."""
    keyword, _, rest = body.partition(b"\0")
    if keyword != KEYWORD or len(rest) < 4:
        return
    text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    if rest[0]:
        unpacker = zlib.decompressobj()
        try:
            text = unpacker.decompress(text, limit)
        except zlib.error:
            text = b"{"  # there is one, and it is damaged
    yield _MARK + (text if text.startswith(b"{") else b"{")


def _jpeg(data: bytes) -> Iterator[bytes]:
    at, pieces = 2, []
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        length = int(struct.unpack_from(">H", data, at + 2)[0])
        body = data[at + 4 : at + 2 + length]
        if data[at + 1] == 0xFE and body[len(_MARK) : len(_MARK) + 1].isdigit() and body.startswith(_MARK):
            pieces.append(body[len(_MARK) :].partition(b" ")[2])
        elif data[at + 1] == 0xFE:
            yield body
        elif data[at + 1] == 0xE1 and body.startswith(b"Exif\0\0"):
            yield user_comment(body[6:])
        at += 2 + length
    yield b"".join(pieces)


def _webp(data: bytes) -> Iterator[bytes]:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            yield user_comment(data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0"))
        at += 8 + length + length % 2


def _gif(data: bytes) -> Iterator[bytes]:
    """Comment extensions, wherever they stand: Pillow moves them behind the pictures."""
    if len(data) < 13:
        return
    at = 13 + _table(data[10])
    while at + 2 <= len(data) and data[at] in (0x21, 0x2C):
        comment = data[at] == 0x21 and data[at + 1] == 0xFE
        if data[at] == 0x2C:
            at += 11 + _table(data[at + 9]) if at + 10 <= len(data) else 11
        else:
            at += 2
        at, body = _blocks(data, at, keep=comment)
        if comment:
            yield body


def _table(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 * (2 << (flags & 7)) if flags & 0x80 else 0


def _blocks(data: bytes, at: int, *, keep: bool) -> tuple[int, bytes]:
    """Where the sub-blocks that begin at `at` end, and their contents."""
    parts = []
    while at < len(data) and data[at]:
        if keep:
            parts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return at + 1, b"".join(parts)
