"""Notices every file and folder that a test opens outside the repository, its temporary folders and what is installed."""

import os
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
SYSTEM = ("/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/run", "/sys", "/usr", "/var/cache", "/var/lib")
"""Where the operating system keeps its own files; nobody's data lies there."""


def _allowed() -> tuple[str, ...]:
    installed = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()}
    here = {str(ROOT), tempfile.gettempdir(), str(Path.home() / "intel"), *SYSTEM}  # OpenVINO asks there for consent
    return tuple(sorted({variant for path in installed | here for variant in (path, os.path.realpath(path))}))


ALLOWED = _allowed()
EVENTS = frozenset(("open", "os.listdir", "os.scandir"))


def is_outside(path: object) -> bool:
    """Whether a path, taken from the working directory when relative, lies in none of the allowed folders.

    File descriptors and names that do not exist are never outside: nothing is read from them.
    """
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    absolute = os.path.abspath(os.fsdecode(path))
    inside = any(absolute == folder or absolute.startswith(folder + os.sep) for folder in ALLOWED)
    return not inside and os.path.exists(absolute)


class Watch:
    """Collects the paths outside that this process opens once `start` was called."""

    def __init__(self) -> None:
        self._seen: list[str] = []

    def start(self) -> None:
        """Watch until the process ends: an audit hook cannot be taken away."""
        sys.addaudithook(self._hear)

    def taken(self) -> list[str]:
        """The paths since the last call."""
        seen, self._seen = self._seen, []
        return seen

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in EVENTS and is_outside(arguments[0]):
            self._seen.append(str(arguments[0]))
