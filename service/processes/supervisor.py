"""One full process a core behind one port: forks them, restarts those that die, drains them all on SIGTERM.

The supervisor itself holds no event loop and no thread, so that it can fork safely at any time. A further child keeps
the embedded Redis. Every serving process listens on a socket of its own (SO_REUSEPORT) and the kernel spreads
connections over them.
"""

import contextlib
import logging
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

log = logging.getLogger("ganymede.supervisor")

YOUNG_S = 5.0
"""A child that dies younger than this is restarted more and more slowly."""
SLOWEST_S = 10.0
GRACE_S = 5.0


class ChildFailedError(Exception):
    """A child ended before it was ready for the first time; the log above says why."""


@dataclass
class Child:
    """One kind of child. `run(ready)` is called in the fork and must call `ready()` once it serves.

    `ended` is called in the supervisor when it died.
    """

    name: str
    run: Callable[[Callable[[], None]], None]
    pid: int = 0
    started: float = 0.0
    delay_s: float = 0.0
    due: float = 0.0
    ready: int = -1
    was_ready: bool = False
    ended: Callable[[], None] = lambda: None


class Supervisor:
    """Keeps children running until SIGTERM or SIGINT. `on_ready` is called once, when all of them are ready."""

    def __init__(self, children: list[Child], drain_s: float, on_ready: Callable[[], None]) -> None:
        self._children = children
        self._drain_s = drain_s
        self._on_ready = on_ready
        self._stopping = False

    def run(self) -> None:
        """Start the children, then watch. Returns when drained.

        Raises ChildFailedError when one ends before it was ever ready.
        """
        previous = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            self._start_all()
            if not self._stopping:
                self._on_ready()
            self._watch()
        finally:
            self._drain()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _start_all(self) -> None:
        alone = self._children[: 1 + sum(child.name == "redis" for child in self._children)]
        for child in alone:  # Redis before those that need it; the first server alone: what it refuses is said once
            self._fork(child)
            self._await_ready(child)
        others = [child for child in self._children if child not in alone]
        for child in others:
            self._fork(child)
        for child in others:
            self._await_ready(child)

    def _await_ready(self, child: Child) -> None:
        while not child.was_ready and not self._stopping:
            readable = select.select([child.ready], [], [], 0.2)[0]
            if readable:
                child.was_ready = bool(os.read(child.ready, 1))
                if not child.was_ready:
                    raise ChildFailedError(f"the {child.name} process ended before it was ready")

    def _watch(self) -> None:
        while not self._stopping:
            self._reap()
            now = time.monotonic()
            for child in self._children:
                if child.pid == 0 and child.due <= now:
                    self._fork(child)
            time.sleep(0.1)

    def _fork(self, child: Child) -> None:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            self._run_child(child, writing)
        os.close(writing)
        if child.ready >= 0:
            os.close(child.ready)
        child.pid, child.ready, child.started = pid, reading, time.monotonic()

    def _run_child(self, child: Child, writing: int) -> None:
        """In the fork: run and leave, whatever happens, without returning into the supervisor's code."""
        status = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            child.run(lambda: os.close(writing) if os.write(writing, b"1") else None)
            status = 0
        except KeyboardInterrupt:
            status = 0
        except BaseException as error:
            log.critical("the %s process failed: %s", child.name, error, exc_info=not _is_plain(error))
        finally:
            logging.shutdown()
            os._exit(status)

    def _reap(self) -> None:
        for child in self._children:
            if child.pid and _ended(child.pid):
                self._note_death(child)

    def _note_death(self, child: Child) -> None:
        child.ended()
        now = time.monotonic()
        young = now - child.started < YOUNG_S
        child.delay_s = min(SLOWEST_S, max(0.25, child.delay_s * 2)) if young else 0.0
        child.pid, child.due = 0, now + child.delay_s
        log.warning("the %s process ended; a new one starts in %.1f s", child.name, child.delay_s)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _drain(self) -> None:
        """The servers first, then what they rely on."""
        terminate_all([child for child in self._children if child.name != "redis"], self._drain_s + GRACE_S)
        terminate_all([child for child in self._children if child.name == "redis"], GRACE_S)


def terminate_all(children: list[Child], patience_s: float) -> None:
    """SIGTERM, wait, and SIGKILL for those that are still there."""
    alive = [child for child in children if child.pid and not _ended(child.pid)]
    for child in alive:
        _signal(child.pid, signal.SIGTERM)
    end = time.monotonic() + patience_s
    while alive and time.monotonic() < end:
        time.sleep(0.02)
        alive = [child for child in alive if not _ended(child.pid)]
    for child in alive:
        log.warning("the %s process did not drain in %.0f s and is killed", child.name, patience_s)
        _signal(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)


def _ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_plain(error: BaseException) -> bool:
    """Whether the sentence says enough: errors of ours, and exits."""
    return isinstance(error, SystemExit) or type(error).__module__.startswith(("service.", "models."))
