"""A bundle on disk: read it, verify it, write it. The folder is untrusted input."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from models.bundle.graph_file import ExternalTensor, external_tensors
from models.errors import BundleError, ChecksumError, ManifestError, ModelsError, UnsafePathError
from models.manifest import FileRecord, Manifest, digest_of, manifest_to_bytes, parse_manifest

MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = 2 << 30


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: its folder, its manifest and its digest (16 hex digits)."""

    folder: Path
    manifest: Manifest
    digest: str

    @property
    def name(self) -> str:
        """The bundle's name, as the manifest gives it."""
        return self.manifest.name

    @property
    def reference(self) -> str:
        """`name@digest`, the exact identity of every picture made from it."""
        return f"{self.manifest.name}@{self.digest}"

    def path(self, file: str) -> Path:
        """Where a file of the bundle lies. Raises UnsafePathError for a name that leaves the folder."""
        return safe_path(self.folder, file)

    def read(self, file: str) -> bytes | None:
        """The bytes of a listed file such as `preview.png`, or None when the bundle has none."""
        return self.path(file).read_bytes() if file in self.manifest.files else None


def safe_path(folder: Path, file: str) -> Path:
    """Join without ever leaving `folder`. Raises UnsafePathError for absolute names, `..`, and symbolic links."""
    pure = PurePosixPath(file)
    if pure.is_absolute() or ".." in pure.parts or "\\" in file or not pure.parts or "\0" in file:
        raise UnsafePathError(f"{file!r} is not a plain file name inside the bundle")
    path = folder.joinpath(*pure.parts)
    if any(p.is_symlink() for p in (path, *list(path.parents)[: len(pure.parts) - 1])):
        raise UnsafePathError(f"{file!r} is a symbolic link")
    return path


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_bundle(folder: Path) -> Bundle:
    """Open and verify a bundle: version, names, sizes and sha256 of every listed file, places of tensors outside graphs.

    Raises ManifestError or BundleError (ChecksumError, UnsafePathError) with a sentence that names the file.
    """
    text = _manifest_bytes(folder)
    manifest = parse_manifest(text)
    for file, record in manifest.files.items():
        _verify(folder, file, record)
    for files in manifest.graphs:
        if files.onnx is not None:
            _verify_places(folder, files.onnx, manifest)
    return Bundle(folder, manifest, digest_of(text))


def name_of(folder: Path) -> str | None:
    """The name a bundle's manifest gives it, nothing verified; None for what is no manifest."""
    try:
        return str(json.loads(_manifest_bytes(folder))["name"])
    except (ModelsError, ValueError, KeyError, TypeError):
        return None


def _manifest_bytes(folder: Path) -> bytes:
    path = safe_path(folder, MANIFEST_NAME)
    if not path.is_file():
        raise ManifestError(f"{folder.name} has no {MANIFEST_NAME}")
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise ManifestError(f"{MANIFEST_NAME} is larger than {MAX_MANIFEST_BYTES} bytes")
    return path.read_bytes()


def _verify(folder: Path, file: str, record: FileRecord) -> None:
    path = safe_path(folder, file)
    if not path.is_file():
        raise BundleError(f"{file} is listed but missing")
    size = path.stat().st_size
    if size != record.bytes or size > MAX_FILE_BYTES:
        raise ChecksumError(f"{file} has {size} bytes, the manifest says {record.bytes}")
    if sha256_of(path) != record.sha256:
        raise ChecksumError(f"{file} does not have the sha256 its manifest gives")


def _verify_places(folder: Path, graph: str, manifest: Manifest) -> None:
    """What a graph keeps outside itself must lie inside listed files; no runtime then reads anything else."""
    try:
        tensors = external_tensors(safe_path(folder, graph).read_bytes())
    except (ValueError, RecursionError) as error:
        if manifest.weights is None:
            return  # in version 1 a graph is opaque: a runtime will say what is wrong with it
        raise BundleError(f"{graph} is not a readable ONNX file: {error}") from None
    for tensor in tensors:
        _verify_place(graph, tensor, manifest.files)


def _verify_place(graph: str, tensor: ExternalTensor, files: Mapping[str, FileRecord]) -> None:
    record, end = files.get(tensor.location), tensor.offset + tensor.length
    if record is None:
        raise BundleError(f"{graph} takes {tensor.name} from {tensor.location!r}, which the manifest does not list")
    if tensor.length != tensor.expected:
        raise BundleError(f"{graph}: {tensor.name} needs {tensor.expected} bytes and is given {tensor.length}")
    if tensor.offset < 0 or end > record.bytes:
        place = f"bytes {tensor.offset} to {end} of {tensor.location}"
        raise BundleError(f"{graph}: {tensor.name} lies at {place}, which has {record.bytes}")


def record_files(folder: Path) -> dict[str, FileRecord]:
    """Fingerprints of every file below `folder` but the manifest, keyed by POSIX-style relative name."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST_NAME)
    return {p.relative_to(folder).as_posix(): FileRecord(sha256=sha256_of(p), bytes=p.stat().st_size) for p in files}


def write_manifest(folder: Path, fields: Mapping[str, object]) -> Bundle:
    """Fingerprint the files in `folder`, validate `fields` plus those, write `manifest.json`, reopen the result."""
    described = Manifest.model_validate({**fields, "files": record_files(folder)}, strict=False)
    (folder / MANIFEST_NAME).write_bytes(manifest_to_bytes(described))
    return read_bundle(folder)


def staging_folder(target: Path) -> Path:
    """A hidden folder beside `target` to build a bundle in; watchers ignore names that start with a dot."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))


def publish(staging: Path, target: Path) -> Bundle:
    """Move a finished staging folder to `target` in one rename, replacing what was there."""
    old = target.with_name(f".{target.name}-old-{os.getpid()}")
    if target.exists():
        target.rename(old)
    staging.chmod(0o755)
    staging.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return read_bundle(target)
