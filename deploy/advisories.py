"""What is known of vulnerable releases, without a network: a committed snapshot of advisories in OSV's form.

A snapshot says from when it is, from where, which packages were looked up (`covers`), and holds the advisories of these: id,
aliases and affected versions. `python -m deploy.audit --write-snapshot` makes it anew from osv.dev.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packaging.version import Version

from deploy.locked import plain_name

SNAPSHOT = "deploy/advisories.json"
Advisory = Mapping[str, Any]
Pin = tuple[str, str]


@dataclass(frozen=True)
class Snapshot:
    """`day` is YYYY-MM-DD; `source` says where the advisories are from; `covers` are the names that were looked up."""

    day: str
    source: str
    covers: Sequence[str]
    advisories: Sequence[Advisory]

    def write(self, file: Path) -> None:
        """As JSON, an advisory a line."""
        head = json.dumps({key: value for key, value in asdict(self).items() if key != "advisories"}, indent=1)
        rows = ",\n  ".join(json.dumps(one, separators=(",", ":")) for one in self.advisories)
        file.write_text(f'{head[:-2]},\n "advisories": [\n  {rows}\n ]\n}}\n')

    def found_in(self, pins: Iterable[Pin]) -> list[str]:
        """`name==version: ids` of every pin that is known to be vulnerable."""
        rows = ((pin, [one["id"] for one in self.advisories if is_affected(pin, one)]) for pin in pins)
        return [f"{name}=={version}: {', '.join(ids)}" for (name, version), ids in rows if ids]


def read_snapshot(file: Path) -> Snapshot | None:
    """The committed snapshot; None where there is none."""
    return Snapshot(**json.loads(file.read_text())) if file.is_file() else None


def brief(advisory: Advisory, name: str) -> Advisory:
    """What a snapshot keeps of an advisory: which releases of this package it is about, and how it is called."""
    kept = {key: advisory[key] for key in ("id", "modified", "aliases") if key in advisory}
    rows = [
        {
            "package": {"ecosystem": "PyPI", "name": name},
            "ranges": [one for one in row.get("ranges", ()) if one["type"] == "ECOSYSTEM"],
        }
        for row in advisory["affected"]
        if plain_name(row["package"]["name"]) == name
    ]
    return {**kept, "affected": rows}


def is_affected(pin: Pin, advisory: Advisory) -> bool:
    """Whether the release lies in a range of the advisory, as https://ossf.github.io/osv-schema/ evaluates it."""
    name, version = pin
    ranges = [
        one["events"]
        for row in advisory["affected"]
        if plain_name(row["package"]["name"]) == name
        for one in row["ranges"]
        if one["type"] == "ECOSYSTEM"
    ]
    return any(_is_inside(Version(version), events) for events in ranges)


def _is_inside(version: Version, events: Sequence[Mapping[str, str]]) -> bool:
    inside = False
    for event in sorted(events, key=lambda one: Version(next(iter(one.values())))):
        kind, value = next(iter(event.items()))
        if kind == "introduced" and version >= Version(value):
            inside = True
        elif (kind == "fixed" and version >= Version(value)) or (kind == "last_affected" and version > Version(value)):
            inside = False
    return inside
