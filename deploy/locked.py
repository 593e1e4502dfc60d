"""What can be said of the locked packages without a network: the committed snapshot of the last audit that was made.

A snapshot is a JSON file: the day, the service that was asked, and every `name==version` it was asked about with the ids of
known vulnerabilities (mostly none). `python -m deploy.audit --write-snapshot` writes it where a service can be asked.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LOCKS = ("uv.lock", "constraints.txt", "requirements.lock", "deploy/constraints.txt")
SNAPSHOT = "deploy/advisories.json"
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;#\\]+)", re.MULTILINE)


def plain_name(name: str) -> str:
    """A package's name as it is compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def find_lock(root: Path) -> Path | None:
    """The committed lock, by the names a lock may have."""
    return next((root / name for name in LOCKS if (root / name).is_file()), None)


def read_lock(file: Path) -> list[str]:
    """`name==version` of every package of a uv.lock or a constraints file, sorted."""
    if file.name == "uv.lock":
        rows = tomllib.loads(file.read_text())["package"]
        pairs = [(row["name"], row["version"]) for row in rows if "registry" in row.get("source", {})]
    else:
        pairs = PIN.findall(file.read_text())
    return sorted({f"{plain_name(name)}=={version}" for name, version in pairs})


@dataclass(frozen=True)
class Snapshot:
    """One audit that was made: when (YYYY-MM-DD), by whom, and what it knew of each package."""

    day: str
    service: str
    known: Mapping[str, Sequence[str]]

    def write(self, file: Path) -> None:
        """As JSON, one package a line."""
        rows = {name: list(ids) for name, ids in sorted(self.known.items())}
        file.write_text(json.dumps({"day": self.day, "service": self.service, "known": rows}, indent=1) + "\n")


def read_snapshot(file: Path) -> Snapshot | None:
    """The committed snapshot; None where there is none."""
    if not file.is_file():
        return None
    found = json.loads(file.read_text())
    return Snapshot(found["day"], found["service"], found["known"])


@dataclass(frozen=True)
class Verdict:
    """What a snapshot says of a lock: `lines` for people; whether all was checked; whether anything is vulnerable."""

    lines: tuple[str, ...]
    is_checked: bool
    is_vulnerable: bool


def judge(lock: Path | None, snapshot: Snapshot | None) -> Verdict:
    """Compare. Without a lock or a snapshot nothing was checked, and the lines say so."""
    if lock is None or snapshot is None:
        what = "no committed lock" if lock is None else lock.name
        day = "<none>" if snapshot is None else snapshot.day
        return Verdict((f"audit: NOT CHECKED, {what}, advisory snapshot of {day}",), False, False)
    pins = read_lock(lock)
    unknown = [pin for pin in pins if pin not in snapshot.known]
    found = [f"{pin}: {', '.join(snapshot.known[pin])}" for pin in pins if snapshot.known.get(pin)]
    checked = (
        f"audit: {len(pins) - len(unknown)} of {len(pins)} packages of {lock.name} checked, snapshot of {snapshot.day}"
    )
    lines = [f"{checked} ({snapshot.service})", *found]
    if unknown:
        lines.append(f"audit: NOT CHECKED, newer than the snapshot: {', '.join(unknown)}")
    return Verdict(tuple(lines), not unknown, bool(found))
