"""The blocks that carry a recipe in JPEG, WebP and GIF: an EXIF user comment, a comment, an XMP packet.

PNG has text chunks of its own. EXIF is what ImageMagick keeps in WebP and JPEG; the comment is what Pillow keeps in JPEG and
GIF; the XMP packet says that a machine made the picture (IPTC digital source type).
"""

import struct

from save_files.recipe import Metadata, Recipe, as_json, parameters_line

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
MARK = "ganymede "
"""What a comment of ours begins with; the recipe as JSON follows."""
SEGMENT = 65_533
"""Bytes a JPEG segment holds besides its length."""
_DESCRIPTION, _EXIF_IFD, _USER_COMMENT = 0x010E, 0x8769, 0x9286
_ASCII, _LONG, _UNDEFINED = 2, 4, 7


def xmp(metadata: Metadata) -> bytes:
    """The packet that says a machine made it; empty when no metadata is wanted."""
    return b"" if metadata == "none" else XMP.encode()


def comment(recipe: Recipe | None, metadata: Metadata) -> bytes:
    """`ganymede {…}` (full), a line for people and the source type (minimal), nothing (none, or without a recipe)."""
    if metadata == "none" or recipe is None:
        return b""
    if metadata == "minimal":
        return f"{parameters_line(recipe)}; {SOURCE_TYPE}".encode("ascii", "replace")
    return (MARK + as_json(recipe)).encode()


def exif(recipe: Recipe | None, metadata: Metadata) -> bytes:
    """An `Exif` block: the description for people, the recipe as the user comment. Little-endian TIFF."""
    if metadata == "none" or recipe is None:
        return b""
    line = parameters_line(recipe).encode("ascii", "replace")[:1000] + b"\0"
    own = b"ASCII\0\0\0" + comment(recipe, metadata) if metadata == "full" else b""
    at = 8 + _size(2 if own else 1)
    entries = [_entry(_DESCRIPTION, _ASCII, line.ljust(5, b"\0"), at)]
    body = line.ljust(5, b"\0") + b"\0" * (max(len(line), 5) % 2)
    if own:
        inner = at + len(body)
        entries.append(struct.pack("<HHII", _EXIF_IFD, _LONG, 1, inner))
        body += _folder([_entry(_USER_COMMENT, _UNDEFINED, own, inner + _size(1))]) + own
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + _folder(entries) + body


def _size(entries: int) -> int:
    """Bytes of a TIFF folder."""
    return 2 + 12 * entries + 4


def _entry(tag: int, kind: int, value: bytes, at: int) -> bytes:
    return struct.pack("<HHII", tag, kind, len(value), at)


def _folder(entries: list[bytes]) -> bytes:
    return struct.pack("<H", len(entries)) + b"".join(entries) + b"\0\0\0\0"


def in_jpeg(data: bytes, recipe: Recipe | None, metadata: Metadata) -> bytes:
    """A JPEG file with its recipe: EXIF where it fits into a segment, comments (numbered where one is too short), XMP."""
    if metadata == "none":
        return data
    place, text, block = _after_header(data), comment(recipe, metadata), exif(recipe, metadata)
    segments = [_segment(0xE1, block)] if 0 < len(block) <= SEGMENT else []
    segments.append(_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(metadata)))
    return data[:place] + b"".join([*segments, *(_segment(0xFE, part) for part in _comments(text))]) + data[place:]


def _comments(text: bytes) -> list[bytes]:
    if len(text) <= SEGMENT:
        return [text] if text else []
    size = SEGMENT - 32
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    return [f"{MARK}{k}/{len(pieces)} ".encode() + piece for k, piece in enumerate(pieces, 1)]


def in_gif(data: bytes, metadata: Metadata) -> bytes:
    """A GIF file with the XMP packet, as the application extension that Adobe's specification (part 3) describes.

    The packet stands as it is, not in sub-blocks; the trailer behind it leads a reader that walks sub-blocks to the end.
    """
    if metadata == "none":
        return data
    place = 13 + (3 * (2 << (data[10] & 7)) if data[10] & 0x80 else 0)
    block = b"\x21\xff\x0bXMP DataXMP" + xmp(metadata) + b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
    return data[:place] + block + data[place:]


def _after_header(data: bytes) -> int:
    """Where segments of ours go: behind SOI and, where there is one, JFIF's own segment."""
    if data[2:4] == b"\xff\xe0":
        return 4 + int(struct.unpack_from(">H", data, 4)[0])
    return 2


def _segment(kind: int, body: bytes) -> bytes:
    return b"\xff" + bytes((kind,)) + struct.pack(">H", len(body) + 2) + body
