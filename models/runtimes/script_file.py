"""Looks at TorchScript before it is loaded: it can compute little else, but it has operators that open files."""

import re
import zipfile
from pathlib import Path
from typing import IO

from models.errors import BundleError

REACHES_OUT = re.compile(r"torch\.from_file|torch\.save|torch\.load|\bops\.(?!aten|prim|quantized)\w+|def __setstate__")
MAX_CODE_BYTES = 32 << 20


def check_script(file: Path | IO[bytes], name: str) -> None:
    """Refuse TorchScript that reaches outside itself: files, foreign operators, code that runs while it is loaded.

    Raises BundleError naming what it found, or that the file is damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if "/code/" in entry.filename and entry.filename.endswith(".py"):
                    _check_code(name, archive.read(entry) if entry.file_size <= MAX_CODE_BYTES else None)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
        raise BundleError(f"{name} is damaged or truncated: {error}") from None


def _check_code(name: str, code: bytes | None) -> None:
    if code is None:
        raise BundleError(f"{name} holds more than {MAX_CODE_BYTES >> 20} MiB of code")
    found = REACHES_OUT.search(code.decode("utf-8", "replace"))
    if found:
        raise BundleError(
            f"{name} uses {found.group(0).strip()!r}, which reaches outside the network; export the generator alone"
        )
