"""Large jobs in parts that any worker takes: how a request is cut, and how its parts become one result again.

A part is a range of the request's pictures. Every part resolves the whole request and computes its own range, so that it
gives the very pictures that the whole would have given there.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel

from service.errors import ConflictError
from service.operations.base import Operation, Part
from service.operations.results import Pictures, Result

SHARED = ("model", "columns", "recipe", "animation", "extra")


def cut_up(row: Operation, body: BaseModel, size: int) -> list[tuple[int, bytes]]:
    """(cost, part) for at most `size` pictures' work each, as the queue takes them; empty when one piece will do."""
    cost, pictures = row.cost(body), row.pictures(body)
    each = max(1, size * pictures // max(1, cost))
    if each >= pictures:
        return []
    ranges = [(start, min(pictures, start + each)) for start in range(0, pictures, each)]
    costs = [cost * stop // pictures - cost * start // pictures for start, stop in ranges]  # adds up to `cost`
    return [(each_cost, json.dumps(part).encode()) for each_cost, part in zip(costs, ranges, strict=True)]


def part_of(text: bytes) -> Part | None:
    """The range that a job carries; None for a whole one."""
    if not text:
        return None
    start, stop = json.loads(text)
    return int(start), int(stop)


def merged(parts: Sequence[Result]) -> Pictures:
    """All pictures in order; times add up, notes are kept once.

    Raises ConflictError when the parts were not made of the same things: a saved latent was replaced meanwhile.
    """
    pictures = [part for part in parts if isinstance(part, Pictures)]
    first = pictures[0]
    if any(getattr(part, name) != getattr(first, name) for part in pictures for name in SHARED):
        raise ConflictError("a saved latent was changed while the job ran; send the request again")
    names = {name for part in pictures for name in part.timing_ms}
    timing = {name: sum(part.timing_ms.get(name, 0.0) for part in pictures) for name in names}
    notes = tuple(dict.fromkeys(note for part in pictures for note in part.notes))
    together = tuple(picture for part in pictures for picture in part.pictures)
    return replace(first, pictures=together, stack=None, timing_ms=timing, notes=notes)
