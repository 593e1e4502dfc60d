"""What is kept of one saved vector: its numbers, where they came from, and how it is written as a Redis hash."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from models.mathematics.latents import Vector
from service.errors import InvalidValueError
from service.latents.names import check_name

SCHEMA = 1
MAX_TAGS = 16

Origin = Literal["seed", "values", "expression", "image", "walk", "projection", "difference", "learned", "pca"]


@dataclass(frozen=True)
class Parent:
    """One latent another was made from. The id never changes; the name is the one it had then."""

    id: str
    name: str


@dataclass(frozen=True)
class Draft:
    """A vector [size] on its way into the store. `model` is a bundle's name, `digest` its 16 hex digits."""

    name: str
    model: str
    digest: str
    vector: Vector
    origin: Origin
    label: str | None = None
    seed: int | None = None
    expression: str | None = None
    parents: tuple[Parent, ...] = ()
    tags: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)
    created: float | None = None
    """Seconds since 1970; None means now. Only an import states it."""


@dataclass(frozen=True)
class Saved(Draft):
    """A stored vector. `id` never changes; `sequence` rises by one a save and orders listings."""

    id: str = ""
    sequence: int = 0

    @property
    def reference(self) -> str:
        """`name@digest` of the bundle the vector belongs to."""
        return f"{self.model}@{self.digest}"


def check_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """The tags, sorted, each once. Raises InvalidValueError for a bad tag or too many."""
    unique = tuple(sorted({check_name(tag, "tag") for tag in tags}))
    if len(unique) > MAX_TAGS:
        raise InvalidValueError(
            f"{len(unique)} tags; at most {MAX_TAGS} are kept", pointer="/tags", hint=f"at most {MAX_TAGS}"
        )
    return unique


def sha256_of(vector: Vector) -> str:
    """Hex sha256 of the numbers as stored: little-endian float32."""
    return hashlib.sha256(to_bytes(vector)).hexdigest()


def to_bytes(vector: Vector) -> bytes:
    """Little-endian float32 bytes."""
    return np.ascontiguousarray(vector, "<f4").tobytes()


def to_base64(vector: Vector) -> str:
    """The same as text: how recipes and exported files carry numbers."""
    return base64.b64encode(to_bytes(vector)).decode()


def from_bytes(data: bytes) -> Vector:
    """The inverse of `to_bytes`, as a writable copy."""
    return np.frombuffer(data, "<f4").astype(np.float32)


def describe(draft: Draft) -> bytes:
    """Everything but name, tags and numbers as JSON: the part of a record that never changes."""
    facts = {k: v for k, v in asdict(draft).items() if k not in {"name", "tags", "vector", "id", "sequence", "created"}}
    return json.dumps({**facts, "schema": SCHEMA}, separators=(",", ":")).encode()


def from_fields(id: str, fields: Mapping[bytes, bytes]) -> Saved:
    """A record from its Redis hash; without its numbers (an empty vector) where `data` was not read."""
    facts = json.loads(fields[b"facts"])
    facts.pop("schema")
    parents = tuple(Parent(**parent) for parent in facts.pop("parents"))
    return Saved(
        **facts,
        parents=parents,
        name=fields[b"name"].decode(),
        tags=tuple(json.loads(fields[b"tags"])),
        vector=from_bytes(fields.get(b"data", b"")),
        created=float(fields[b"created"]),
        id=id,
        sequence=int(fields[b"sequence"]),
    )
