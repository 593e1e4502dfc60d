"""A zip of bundles, unpacked without trusting it: no path leaves the folder, nothing grows beyond what it declares.

What was unpacked is still to be verified by `read_bundle`, digests and all.
"""

import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from models.bundle import MANIFEST_NAME, MAX_FILE_BYTES, MAX_MANIFEST_BYTES, safe_path
from models.errors import BundleError, UnsafePathError
from models.manifest import Manifest, parse_manifest

MAX_ENTRIES = 2_000
MAX_TOTAL_BYTES = 8 << 30
MAX_GROWTH, SMALL_BYTES = 100, 16 << 20
"""Weights shrink to a tenth at best; small zips may do as they like."""
PIECE = 1 << 20


def bundles_in(archive: zipfile.ZipFile) -> Iterator[tuple[PurePosixPath, bytes]]:
    """(folder in the zip, manifest bytes) of every bundle: at the root, or in folders one or two deep.

    Raises BundleError for a zip without any, or with too many entries, UnsafePathError for names that leave it.
    """
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise BundleError(f"the zip has {len(entries)} entries; at most {MAX_ENTRIES} are read")
    for entry in entries:
        _check_entry(entry)
    found = [entry for entry in entries if _names_a_manifest(entry.filename)]
    if not found:
        raise BundleError(f"the zip holds no {MANIFEST_NAME}")
    for entry in found:
        yield PurePosixPath(entry.filename).parent, _manifest_of(archive, entry)


def check_growth(archive: zipfile.ZipFile, packed_bytes: int) -> None:
    """Raises BundleError for a zip that says it would grow as no weights do; what it says is held to while reading."""
    total = sum(entry.file_size for entry in archive.infolist())
    if total > MAX_TOTAL_BYTES or total > MAX_GROWTH * packed_bytes + SMALL_BYTES:
        raise BundleError(f"the zip of {packed_bytes} bytes would unpack to {total}; that is no bundle")


def unpack(archive: zipfile.ZipFile, inside: PurePosixPath, text: bytes, target: Path) -> Manifest:
    """Write one bundle's manifest and exactly the files it lists below `target`; each stops at its declared size.

    Raises BundleError for a file that is missing or longer than the manifest says.
    """
    manifest = parse_manifest(text)
    (target / MANIFEST_NAME).write_bytes(text)
    for file, record in manifest.files.items():
        try:
            entry = archive.getinfo(str(inside / file))
        except KeyError:
            raise BundleError(f"{file} is listed but not in the zip") from None
        with archive.open(entry) as source:
            write_at_most(source, safe_path(target, file), record.bytes, file)
    return manifest


def write_at_most(source: IO[bytes], path: Path, size: int, file: str) -> None:
    """Copy a stream to a new file, stopping at the first byte beyond `size`. Raises BundleError then."""
    if size > MAX_FILE_BYTES:
        raise BundleError(f"{file} is said to have {size} bytes; at most {MAX_FILE_BYTES} are read")
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("xb") as stream:
        while piece := source.read(min(PIECE, size + 1 - written)):
            written += len(piece)
            if written > size:
                raise BundleError(f"{file} is longer than the {size} bytes its manifest gives")
            stream.write(piece)


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise UnsafePathError(f"{name[:80]!r} in the zip is a symbolic link")
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name:
        raise UnsafePathError(f"{name[:80]!r} in the zip leaves its folder")
    if entry.flag_bits & 1:
        raise BundleError("the zip is encrypted")


def _names_a_manifest(name: str) -> bool:
    pure = PurePosixPath(name)
    hidden = any(part.startswith((".", "__MACOSX")) for part in pure.parts)
    return pure.name == MANIFEST_NAME and len(pure.parts) <= 3 and not hidden


def _manifest_of(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as stream:
        text = stream.read(MAX_MANIFEST_BYTES + 1)
    if len(text) > MAX_MANIFEST_BYTES:
        raise BundleError(f"{MANIFEST_NAME} is larger than {MAX_MANIFEST_BYTES} bytes")
    return text
