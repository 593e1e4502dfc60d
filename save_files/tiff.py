"""The user comment of an EXIF block, which is a TIFF file of folders and entries."""

import struct

_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_MOST_ENTRIES = 512


def user_comment(block: bytes) -> bytes:
    """The user comment without its character code; empty when there is none or the block is damaged."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2], "")
    if not order or len(block) < 8:
        return b""
    inner = _value(block, order, int(struct.unpack_from(f"{order}I", block, 4)[0]), _EXIF_IFD)
    found = None if inner is None else _value(block, order, inner[1], _USER_COMMENT)
    if found is None:
        return b""
    return block[found[1] : found[1] + found[0]][8:]


def _value(block: bytes, order: str, at: int, tag: int) -> tuple[int, int] | None:
    """Count and value (or where it stands) of a tag in the folder at `at`."""
    if at + 2 > len(block):
        return None
    count = min(int(struct.unpack_from(f"{order}H", block, at)[0]), _MOST_ENTRIES)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if entry + 12 > len(block):
            return None
        own, _, size, value = struct.unpack_from(f"{order}HHII", block, entry)
        if own == tag:
            return int(size), int(value)
    return None
