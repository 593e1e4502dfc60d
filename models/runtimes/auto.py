"""`auto`: the fastest candidate for each level that draws the reference's pictures, measured once a machine and bundle."""

import logging
import time
from collections.abc import Sequence

from models.bundle import Bundle
from models.runtimes.base import Array, DiscriminatorOutput, Runtime
from models.runtimes.candidates import CANDIDATES, REFERENCE, Candidate
from models.runtimes.choice import Choice, choice_of
from models.runtimes.invariance import probe_inputs
from models.runtimes.memory import Memory, key_of
from models.runtimes.trial import SAME, Row, Tolerance, Trial, chain_difference, try_level

log = logging.getLogger("ganymede.runtimes")
BUDGET_S = 2.0
"""Processor seconds for the trials of a bundle: none is begun after them, and what was not tried stays on the reference."""
SMALL = 0.1
"""A level with less than this share of the bundle's time is left where it is."""


class ComposedRuntime:
    """Every level on the runtime chosen for it; the discriminator on the reference."""

    def __init__(self, reference: Runtime, levels: Sequence[Runtime]) -> None:
        self._reference, self._levels = reference, tuple(levels)
        self.provider = "+".join(dict.fromkeys(runtime.provider for runtime in self._levels))

    def run_level(self, level: int, previous: Array | None, noise: Array | None, label: Array | None) -> Array:
        """See `Runtime.run_level`."""
        return self._levels[level].run_level(level, previous, noise, label)

    def discriminate(self, images: Array, label: Array | None = None) -> DiscriminatorOutput:
        """See `Runtime.discriminate`."""
        return self._reference.discriminate(images, label)

    def close(self) -> None:
        """Close them all."""
        for runtime in {id(each): each for each in (self._reference, *self._levels)}.values():
            runtime.close()


def open_auto(
    bundle: Bundle,
    threads: int,
    max_batch: int,
    memory: Memory,
    candidates: Sequence[Candidate] = CANDIDATES,
    tolerance: Tolerance = SAME,
) -> Runtime:
    """The bundle on what was chosen for it here; measures first when nothing is remembered."""
    choice = choose(bundle, threads, max_batch, memory, candidates, tolerance=tolerance)
    try:
        return compose(bundle, threads, choice, candidates)
    except Exception as error:  # whatever a library raises, the reference can be had
        log.warning("%s: the runtime chosen for it does not open, so the reference is used: %s", bundle.name, error)
        return REFERENCE.open(bundle, threads)


def choose(
    bundle: Bundle,
    threads: int,
    max_batch: int,
    memory: Memory,
    candidates: Sequence[Candidate] = CANDIDATES,
    again: bool = False,
    tolerance: Tolerance = SAME,
) -> Choice:
    """The remembered choice, or a fresh one, which is then remembered. `again` measures in any case."""
    trial, key = Trial(bundle, threads, max_batch, tolerance), key_of(tolerance.kind, bundle.digest, threads, max_batch)
    try:
        with memory.locked():
            remembered = None if again else choice_of(memory.get(key))
            return remembered or _measured(trial, candidates, memory, key)
    except OSError as error:
        log.warning("%s: nothing can be remembered (%s), so the reference is used", bundle.name, error.strerror)
        return _all_on_reference(bundle)


def _measured(trial: Trial, candidates: Sequence[Candidate], memory: Memory, key: str) -> Choice:
    # Remembered first: a candidate that takes the process with it is not tried again at the next start.
    memory.put(key, _all_on_reference(trial.bundle).entry())
    started = time.perf_counter()
    choice = measure(trial, candidates)
    memory.put(key, choice.entry())
    log.info("%s: %s chosen in %.1f s", trial.bundle.name, ", ".join(choice.levels), time.perf_counter() - started)
    return choice


def _all_on_reference(bundle: Bundle) -> Choice:
    return Choice(tuple(REFERENCE.name for _ in bundle.manifest.levels))


def measure(trial: Trial, candidates: Sequence[Candidate] = CANDIDATES) -> Choice:
    """Try every candidate at every level that matters, then check what was chosen as a whole."""
    bundle = trial.bundle
    reference = REFERENCE.open(bundle, trial.threads)
    rows = _trials(trial, reference, candidates)
    try:
        chosen = _within_the_limit(trial, reference, _fastest(rows), candidates)
    except Exception as error:
        log.warning("%s: the reference is used: %s", bundle.name, error)
        chosen = {}
    reference.close()
    return Choice(_names(chosen, bundle), tuple(rows))


def _names(chosen: dict[int, Row], bundle: Bundle) -> tuple[str, ...]:
    """A candidate's name a level."""
    levels = range(len(bundle.manifest.levels))
    return tuple(chosen[level].candidate if level in chosen else REFERENCE.name for level in levels)


def _trials(trial: Trial, reference: Runtime, candidates: Sequence[Candidate]) -> list[Row]:
    """The slowest level first; the reference's row comes with the first candidate that was timed."""
    rows: list[Row] = []
    end = time.process_time() + BUDGET_S
    for level in _levels_that_matter(trial.bundle, reference, trial.max_batch):
        for candidate in candidates:
            if time.process_time() > end:
                rows.append(Row(level, candidate.name, "no time left"))
                continue
            found = _try(trial, level, reference, candidate)
            rows += found if not _timed(rows, level) else found[:1]
    return rows


def _try(trial: Trial, level: int, reference: Runtime, candidate: Candidate) -> tuple[Row, ...]:
    try:
        return try_level(trial, level, reference, candidate)
    except Exception as error:  # a candidate is free to fail in any way; it is then none
        log.info("%s: %s is left out at level %d: %s", trial.bundle.name, candidate.name, level, error)
        return (Row(level, candidate.name, f"failed: {error}"),)


def _timed(rows: list[Row], level: int) -> bool:
    return any(row.level == level and row.candidate == REFERENCE.name for row in rows)


def _levels_that_matter(bundle: Bundle, reference: Runtime, max_batch: int) -> list[int]:
    seconds = {}
    for level in range(len(bundle.manifest.levels)):
        inputs = probe_inputs(bundle.manifest, level, max_batch)
        reference.run_level(level, *inputs)
        started = time.perf_counter()
        reference.run_level(level, *inputs)
        seconds[level] = time.perf_counter() - started
    total = sum(seconds.values())
    return sorted((k for k, s in seconds.items() if s >= SMALL * total), key=lambda k: -seconds[k])


def _fastest(rows: list[Row]) -> dict[int, Row]:
    """The winner of every level that has one."""
    chosen: dict[int, Row] = {}
    for row in rows:
        if row.verdict == "faster" and (row.level not in chosen or row.cost_ms < chosen[row.level].cost_ms):
            chosen[row.level] = row
    return chosen


def _within_the_limit(
    trial: Trial, reference: Runtime, chosen: dict[int, Row], candidates: Sequence[Candidate]
) -> dict[int, Row]:
    """Differences add up from level to level: the level that differs most gives way until the whole is within the limit."""
    bundle = trial.bundle
    while chosen:
        whole = compose(bundle, trial.threads, Choice(_names(chosen, bundle)), candidates)
        difference = chain_difference(whole, reference, bundle.manifest)
        whole.close()
        if difference < trial.tolerance.whole:
            return chosen
        worst = max(chosen, key=lambda level: chosen[level].difference or 0.0)
        chosen = {level: row for level, row in chosen.items() if level != worst}
    return chosen


def compose(bundle: Bundle, threads: int, choice: Choice, candidates: Sequence[Candidate] = CANDIDATES) -> Runtime:
    """Open what a choice names, and run it once. Raises whatever a candidate raises."""
    reference = REFERENCE.open(bundle, threads)
    known = {candidate.name: candidate for candidate in candidates}
    opened = {name: known[name].open(bundle, threads) for name in set(choice.levels) - {REFERENCE.name}}
    if not opened:
        return reference
    whole = ComposedRuntime(reference, [opened.get(name, reference) for name in choice.levels])
    for level in range(len(bundle.manifest.levels)):
        whole.run_level(level, *probe_inputs(bundle.manifest, level, 1))
    return whole
