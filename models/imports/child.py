"""Imports a foreign file in a process of its own, with bounded memory and time, and publishes what it made.

Imports neither onnx nor torch: a server or a command line may use it without carrying either.
"""

import contextlib
import hashlib
import re
import shutil
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from models.bundle import Bundle, publish, read_bundle, safe_path
from models.bundle.graph_file import external_tensors
from models.errors import ImportRefusedError, ModelsError, RuntimeUnavailableError, UnsafePathError
from models.imports.options import Options
from models.imports.process import TooLongError, ask
from models.imports.report import Row

MEMORY_BYTES = 12 << 30
TIMEOUT_S = 900.0
CACHE_VERSION = "2"
"""Changes when imports are written differently, so that older ones are made anew."""


@dataclass(frozen=True)
class Imported:
    """What came of an import: the bundle (None for a dry run) and what was understood."""

    bundle: Bundle | None
    rows: tuple[Row, ...]


class ImportFailedError(ImportRefusedError):
    """A refusal together with what had been understood until then."""

    def __init__(self, sentence: str, rows: tuple[Row, ...]) -> None:
        super().__init__(sentence)
        self.rows = rows


def run_import(path: Path, out: Path | None, options: Options, *, timeout_s: float = TIMEOUT_S) -> Imported:
    """Import `path` into the folder `out`, replacing a bundle of that name; None looks and writes nothing.

    Raises ImportFailedError with one sentence; then nothing is left behind.
    """
    _require("onnx", "safetensors")
    if out is None:
        return Imported(None, _answer(path, None, options, timeout_s)[1])
    was_there = out.exists()
    out.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".import-", dir=out))
    try:
        name, rows = _answer(path, staging, options, timeout_s)
        return Imported(publish(staging / name, out / name), rows)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not was_there:
            with contextlib.suppress(OSError):  # not empty: the bundle is in it
                out.rmdir()


def import_cached(path: Path, cache: Path, options: Options) -> Bundle:
    """The bundle of a file, made once for each content and each set of options, in `cache`. Raises ImportFailedError."""
    folder = cache / key_of(path, options)
    with contextlib.suppress(ModelsError, StopIteration, OSError):
        return read_bundle(next(inside for inside in folder.iterdir() if not inside.name.startswith(".")))
    shutil.rmtree(folder, ignore_errors=True)
    bundle = run_import(path, folder, options).bundle
    assert bundle is not None
    return bundle


def key_of(path: Path, options: Options) -> str:
    """16 hex digits that change with the bytes of the file, its folder or what it keeps beside it, its name, the options."""
    digest = hashlib.sha256(f"{CACHE_VERSION} {path.name} {options.model_dump_json()}".encode())
    for file in sorted(path.rglob("*")) if path.is_dir() else [path, *_beside(path)]:
        if file.is_file():
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def _beside(path: Path) -> list[Path]:
    """Files that an ONNX file keeps weights in; none for others, and none outside its folder, which are refused later."""
    if path.suffix != ".onnx":
        return []
    with contextlib.suppress(ValueError, RecursionError, OSError, UnsafePathError):
        places = {tensor.location for tensor in external_tensors(path.read_bytes())}
        return [safe_path(path.parent, place) for place in sorted(places)]
    return []


def bundle_name(path: Path) -> str:
    """The file's name as a bundle's: letters, digits, `_`, `.` and `-`; `netG.pth.tar` is `netG`."""
    stem = path.name if path.is_dir() else path.stem.removesuffix(".pth")
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-._")[:64] or "imported"


def _answer(path: Path, out: Path | None, options: Options, timeout_s: float) -> tuple[str, tuple[Row, ...]]:
    orders = {
        "path": str(path),
        "out": str(out) if out else None,
        "options": options.model_dump(mode="json", exclude_unset=True),
        "memory_bytes": MEMORY_BYTES,
    }
    try:
        answer, last = ask(orders, timeout_s)
    except TooLongError:
        raise ImportFailedError(f"{path.name} took longer than {timeout_s:.0f} s", ()) from None
    if answer is None:
        raise ImportFailedError(f"{path.name} ended the importing process: {last}", ())
    rows = tuple(Row(**row) for row in answer["rows"])
    if answer["error"]:
        raise ImportFailedError(answer["error"], rows)
    return str(answer["name"]), rows


def _require(*packages: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise RuntimeUnavailableError(f"importing needs {' and '.join(missing)}; pip install 'ganymede[import]'")
