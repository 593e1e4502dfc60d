"""What was measured of bundles on this machine, remembered in a small file.

The file is shared by all processes of a machine: the first that opens a bundle measures, the others wait and read, so
that siblings behind one port always compute alike.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import platform
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FORMAT = 3
LIBRARIES = ("numpy", "onnxruntime", "openvino")
"""Packages whose version a measurement depends on."""
Entry = dict[str, Any]


class Memory:
    """The file. Damaged or of another format, it counts as empty; unwritable, nothing is remembered."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str) -> Entry | None:
        """The remembered entry, or None."""
        found = self._read().get(key)
        return found if isinstance(found, dict) else None

    def put(self, key: str, entry: Entry) -> None:
        """Remember, replacing the file in one rename. Raises OSError."""
        entries = self._read() | {key: entry}
        draft = self._path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps({"format": FORMAT, "entries": entries}, indent=1) + "\n")
        draft.replace(self._path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time, also among those that only start. Raises OSError where nothing can be written."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_text())
            entries = found["entries"] if found["format"] == FORMAT else {}
            return entries if isinstance(entries, dict) else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def key_of(kind: str, digest: str, threads: int, max_batch: int) -> str:
    """What an entry holds for: what was measured, of which bundle, machine, threads, largest batch."""
    return f"{kind}-{digest}-{machine()}-{threads}x{max_batch}"


@cache
def machine() -> str:
    """16 hex digits that change with the processor, its instructions, its cores and the libraries that compute."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        kept = sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
        return _digest([kept, os.cpu_count(), versions()])
    return _digest([platform.processor(), platform.machine(), os.cpu_count(), versions()])


def versions() -> dict[str, str]:
    """Installed versions of what computes; a package that is not there has an empty one. Imports nothing."""
    return {name: _version(name) for name in LIBRARIES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _digest(facts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
