"""The committed locks: which package stands there in which version."""

import re
from pathlib import Path

LOCKS = ("constraints.txt", "requirements/cpu.txt", "requirements/gpu.txt")
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;#\\]+)", re.MULTILINE)


def plain_name(name: str) -> str:
    """A package's name as it is compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def find_locks(root: Path) -> list[Path]:
    """The locks that are there."""
    return [root / name for name in LOCKS if (root / name).is_file()]


def read_locks(files: list[Path]) -> list[tuple[str, str]]:
    """(name, version) of every pin of all of them, sorted, each once."""
    return sorted({(plain_name(name), version) for file in files for name, version in PIN.findall(file.read_text())})
