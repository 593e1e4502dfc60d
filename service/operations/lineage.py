"""The family tree of a saved latent."""

from typing import Any

from service.errors import NotFoundError
from service.latents import LatentStore, Saved
from service.operations.latents import describe

MAX_ANCESTORS = 500


async def lineage(store: LatentStore, name: str) -> list[dict[str, Any]]:
    """The latent and all its ancestors, nearest first, each once; deleted ones as `{id, name, gone: true}`.

    Raises NotFoundError for a name that does not exist.
    """
    start = await store.get(name)
    known: dict[str, dict[str, Any]] = {start.id: describe(start)}
    waiting = [start]
    while waiting and len(known) < MAX_ANCESTORS:
        waiting = await _next_generation(store, waiting, known)
    return list(known.values())


async def _next_generation(store: LatentStore, children: list[Saved], known: dict[str, dict[str, Any]]) -> list[Saved]:
    found = []
    for parent in (parent for child in children for parent in child.parents):
        if parent.id in known:
            continue
        try:
            record = await store.by_id(parent.id)
        except NotFoundError:
            known[parent.id] = {"id": parent.id, "name": parent.name, "gone": True}
            continue
        known[parent.id] = describe(record)
        found.append(record)
    return found
