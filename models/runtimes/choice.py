"""Which candidate computes each level of a bundle on this machine, remembered in a small file.

The file is shared by all processes of a machine: the first that opens a bundle measures, the others wait and read, so
that siblings behind one port always give the same bytes.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from models.runtimes.candidates import versions
from models.runtimes.trial import Row

FORMAT = 1


@dataclass(frozen=True)
class Choice:
    """A candidate's name a level, and what was measured on the way."""

    levels: tuple[str, ...]
    rows: tuple[Row, ...] = ()


def machine() -> str:
    """16 hex digits that change with the processor, its instructions, its cores and the libraries that compute."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        kept = sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
        return _digest(json.dumps([kept, os.cpu_count(), versions()], sort_keys=True))
    return _digest(json.dumps([platform.processor(), platform.machine(), os.cpu_count(), versions()], sort_keys=True))


def key_of(digest: str, threads: int, max_batch: int) -> str:
    """What a choice holds for: bundle, machine, threads, largest batch."""
    return f"{digest}-{machine()}-{threads}x{max_batch}"


class Choices:
    """The file. Damaged or of another format, it counts as empty; unwritable, nothing is remembered."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str) -> Choice | None:
        """The remembered choice, or None."""
        found = self._read().get(key)
        try:
            return Choice(tuple(found["levels"]), tuple(Row(**row) for row in found["rows"])) if found else None
        except (KeyError, TypeError):
            return None

    def put(self, key: str, choice: Choice) -> None:
        """Remember, replacing the file in one rename. Raises OSError."""
        entries = self._read() | {key: asdict(choice)}
        draft = self._path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps({"format": FORMAT, "choices": entries}, indent=1) + "\n")
        draft.replace(self._path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time, also among those that only start. Raises OSError where nothing can be written."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> dict[str, dict]:  # type: ignore[type-arg]
        try:
            found = json.loads(self._path.read_text())
            entries = found["choices"] if found["format"] == FORMAT else {}
            return entries if isinstance(entries, dict) else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
