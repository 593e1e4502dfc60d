"""Every saved vector as one file and back: NDJSON, a header line, then one line a vector, oldest first.

    {"format": "ganymede-latents", "version": 1, "what": "latent", "count": 2}
    {"name": ..., "model": ..., "digest": ..., "data": "<base64 of float32>", "sha256": ..., ...}

The file is untrusted when it comes back: every line is checked before the first one is saved.
"""

import base64
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from service.errors import ConflictError, InvalidValueError, MalformedError
from service.latents.names import NAME_PATTERN
from service.latents.record import Draft, Origin, Parent, Saved, from_bytes, sha256_of, to_base64
from service.latents.store import LatentStore

FORMAT, VERSION = "ganymede-latents", 1
Conflict = Literal["refuse", "skip", "rename", "replace"]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]


class ParentLine(BaseModel):
    """A parent as a line names it."""

    model_config = ConfigDict(extra="forbid")
    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    name: Name


class Line(BaseModel):
    """One vector of the file."""

    model_config = ConfigDict(extra="forbid")
    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    name: Name
    model: Name
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    data: str
    sha256: str
    origin: Origin
    label: str | None = None
    seed: int | None = Field(None, ge=0, lt=1 << 32)
    expression: str | None = Field(None, max_length=10_000)
    parents: list[ParentLine] = Field(default_factory=list, max_length=1000)
    tags: list[Name] = Field(default_factory=list, max_length=16)
    notes: dict[str, Any] = Field(default_factory=dict)
    created: float = Field(ge=0, le=1e11)


@dataclass
class Imported:
    """What an import did: names saved, names skipped, and old name -> new name where one was renamed."""

    saved: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)


async def export(store: LatentStore, **filters: Any) -> AsyncIterator[bytes]:
    """The file, line by line; `filters` as of `LatentStore.page`."""
    records = [record async for record in store.walk(**filters)]
    yield _dump({"format": FORMAT, "version": VERSION, "what": store.what, "count": len(records)})
    for record in reversed(records):
        yield _dump(line_of(record))


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def line_of(record: Saved) -> dict[str, Any]:
    """One vector as its line's JSON object."""
    facts = asdict(record)
    facts.pop("sequence")
    facts.pop("vector")
    return {**facts, "data": to_base64(record.vector), "sha256": sha256_of(record.vector)}


def read(data: bytes, what: str) -> list[Saved]:
    """The vectors of a file. Raises MalformedError or InvalidValueError that names the line."""
    lines = data.splitlines()
    header = _json(lines[0] if lines else b"", 1)
    if header.get("format") != FORMAT or header.get("version") != VERSION:
        raise MalformedError(f"this is no {FORMAT} file of version {VERSION}")
    if header.get("what") != what:
        raise InvalidValueError(f"this file holds {str(header.get('what'))[:40]}s, not {what}s")
    found = [_record(_json(line, k), k) for k, line in enumerate(lines[1:], 2)]
    if header.get("count") != len(found):
        raise MalformedError(f"the file ends early: {len(found)} of {header.get('count')!r:.40} vectors are there")
    return found


def _json(line: bytes, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise MalformedError(f"line {number} is not JSON") from None
    if not isinstance(value, dict):
        raise MalformedError(f"line {number} is not a JSON object")
    return value


def _record(value: dict[str, Any], number: int) -> Saved:
    try:
        line = Line.model_validate(value)
        data = base64.b64decode(line.data, validate=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidValueError(f"line {number}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except ValueError:  # binascii.Error, or a character that is not ASCII
        raise InvalidValueError(f"line {number}: data is not base64") from None
    vector = from_bytes(data[: len(data) // 4 * 4])
    if sha256_of(vector) != line.sha256:
        raise InvalidValueError(f"line {number}: the numbers of {line.name!r} do not have the sha256 the line gives")
    facts = line.model_dump(exclude={"data", "sha256", "parents", "tags"})
    parents = tuple(Parent(parent.id, parent.name) for parent in line.parents)
    return Saved(**facts, vector=vector, parents=parents, tags=tuple(line.tags))


async def restore(store: LatentStore, records: Iterable[Saved], conflict: Conflict) -> Imported:
    """Save every record under a new id; parents within the file point to the new ids.

    A taken name is refused (ConflictError before anything is saved), skipped, given a free name or replaced.
    """
    records = list(records)
    taken = await store.find([record.name for record in records])
    if taken and conflict == "refuse":
        raise ConflictError(f"{len(taken)} names are taken, {next(iter(taken))!r} among them; nothing was imported")
    done = Imported()
    new_ids: dict[str, str] = {}
    for record in records:
        saved = await _restore_one(store, record, conflict, new_ids)
        if saved is None:
            done.skipped.append(record.name)
            continue
        new_ids[record.id] = saved.id
        done.saved.append(saved.name)
        if saved.name != record.name:
            done.renamed[record.name] = saved.name
    return done


async def _restore_one(store: LatentStore, record: Saved, conflict: Conflict, ids: dict[str, str]) -> Saved | None:
    facts = {key: getattr(record, key) for key in Draft.__dataclass_fields__}
    draft = Draft(**facts)
    draft = replace(draft, parents=tuple(Parent(ids.get(p.id, p.id), p.name) for p in record.parents))
    for attempt in range(1000):
        name = record.name if attempt == 0 else f"{record.name[:58]}-{attempt + 1}"
        try:
            return await store.save(replace(draft, name=name), overwrite=conflict == "replace")
        except ConflictError:
            if conflict == "skip":
                return None
            if conflict == "refuse":
                raise
    raise ConflictError(f"no free name is left beside {record.name!r}")
