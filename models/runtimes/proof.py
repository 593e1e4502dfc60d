"""What is found out about an opened bundle before it is served, remembered so that the next start need not look again."""

import logging
from dataclasses import asdict, dataclass

from models.bundle import Bundle
from models.manifest import Manifest
from models.runtimes.base import Runtime
from models.runtimes.batch_size import best_batch
from models.runtimes.invariance import FREE, bucket_for
from models.runtimes.memory import Entry, Memory, key_of

log = logging.getLogger("ganymede.runtimes")


@dataclass(frozen=True)
class Proof:
    """A value a level: `buckets` holds FREE or the batch every call is padded to, `batches` the pictures computed at once."""

    buckets: tuple[int, ...]
    batches: tuple[int, ...]


def prove(runtime: Runtime, manifest: Manifest, threads: int, max_batch: int) -> Proof:
    """Run every level. Raises whatever a graph raises that does not run."""
    levels = range(len(manifest.levels))
    buckets = tuple(bucket_for(runtime, manifest, level, max_batch) for level in levels)
    batches = (
        best_batch(runtime, manifest, level, threads, max_batch) if buckets[level] == FREE else buckets[level]
        for level in levels
    )
    return Proof(buckets, tuple(batches))


def proof_of(
    runtime: Runtime, bundle: Bundle, threads: int, max_batch: int, memory: Memory | None, again: bool = False
) -> Proof:
    """The remembered proof of this bundle on this runtime and machine, or a fresh one, which is then remembered.

    `again` proves in any case. Raises what `prove` raises.
    """
    if memory is None:
        return prove(runtime, bundle.manifest, threads, max_batch)
    key = key_of(f"proof-{runtime.provider}", bundle.digest, threads, max_batch)
    found = None if again else _read(memory.get(key), len(bundle.manifest.levels))
    return found or _proved(runtime, bundle, threads, max_batch, memory, key)


def _proved(runtime: Runtime, bundle: Bundle, threads: int, max_batch: int, memory: Memory, key: str) -> Proof:
    # Locked only to write: no answer depends on who proves first, and bundles that open side by side must not wait.
    proof = prove(runtime, bundle.manifest, threads, max_batch)
    try:
        with memory.locked():
            memory.put(key, asdict(proof))
    except OSError as error:
        log.warning("%s: nothing can be remembered: %s", bundle.name, error.strerror)
    return proof


def _read(entry: Entry | None, levels: int) -> Proof | None:
    """None for nothing, or for what is no proof of so many levels."""
    try:
        found = Proof(tuple(entry["buckets"]), tuple(entry["batches"])) if entry else None
    except (KeyError, TypeError):
        return None
    return found if found and len(found.buckets) == len(found.batches) == levels else None
