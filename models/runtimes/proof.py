"""What is found out about an opened bundle before it is served, remembered so that the next start need not look again."""

import logging
from dataclasses import asdict, dataclass, replace

from models.bundle import Bundle
from models.manifest import Manifest
from models.runtimes.base import Runtime
from models.runtimes.batch_size import best_batch
from models.runtimes.difference import Difference, difference_of
from models.runtimes.invariance import FREE, bucket_for
from models.runtimes.memory import Entry, Memory, key_of

log = logging.getLogger("ganymede.runtimes")


@dataclass(frozen=True)
class Proof:
    """A value a level: `buckets` holds FREE or the batch every call is padded to, `batches` the pictures computed at once.

    `difference`: how far the pictures may be from the exact ones, where others are allowed.
    """

    buckets: tuple[int, ...]
    batches: tuple[int, ...]
    difference: Difference | None = None


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
    return found or _remembered(prove(runtime, bundle.manifest, threads, max_batch), bundle, memory, key)


def _remembered(proof: Proof, bundle: Bundle, memory: Memory, key: str) -> Proof:
    # Locked only to write: no answer depends on who proves first, and bundles that open side by side must not wait.
    try:
        with memory.locked():
            memory.put(key, {name: value for name, value in asdict(proof).items() if value is not None})
    except OSError as error:
        log.warning("%s: nothing can be remembered: %s", bundle.name, error.strerror)
    return proof


def fast_proof_of(
    runtime: Runtime, exact: Runtime, bundle: Bundle, threads: int, max_batch: int, memory: Memory
) -> Proof:
    """The same for pictures of `precision=fast`, with their difference to those of `exact`."""
    key = key_of(f"proof-fast-{runtime.provider}-{exact.provider}", bundle.digest, threads, max_batch)
    found = _read(memory.get(key), len(bundle.manifest.levels))
    if found is not None and found.difference is not None:
        return found
    proof = prove(runtime, bundle.manifest, threads, max_batch)
    proof = replace(proof, difference=difference_of(runtime, exact, bundle.manifest))
    return _remembered(proof, bundle, memory, key)


def _read(entry: Entry | None, levels: int) -> Proof | None:
    """None for nothing, or for what is no proof of so many levels."""
    try:
        found = _parsed(entry) if entry else None
    except (KeyError, TypeError):
        return None
    return found if found and len(found.buckets) == len(found.batches) == levels else None


def _parsed(entry: Entry) -> Proof:
    difference = entry.get("difference")
    return Proof(
        tuple(entry["buckets"]), tuple(entry["batches"]), None if difference is None else Difference(**difference)
    )
