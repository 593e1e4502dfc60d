"""A plugin of pytest: imports and collects once, then tries every fault in a process forked from there.

Of the tests only those that pass through the faulty function are run, the quickest first, until one fails. `MUTANTS_TRY`
names a file with a list of faults; written to `MUTANTS_TOLD`: `{fault: "killed" | "timeout" | "survived" | "no tests"}`.
"""

import functools
import gc
import itertools
import json
import os
import resource
import signal
import time
from collections import defaultdict
from pathlib import Path

import pytest
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state

AT_ONCE = int(os.environ.get("MUTANTS_AT_ONCE", "2"))
SLOW_S = 3.0
"""Tests that take the processor longer than this are left out."""
ENOUGH_S = 12.0
"""Seconds of the processor that one fault may cost when no test fails: the quickest tests that fit."""
MEMORY = 6 << 30
"""Bytes that a faulty process may take."""


class Warm:
    """The collected tests, what each costs, and through which functions it passes."""

    def __init__(self, session: pytest.Session) -> None:
        self.items = session.items
        self.cost_s: dict[pytest.Item, float] = {}
        self.through: dict[str, list[pytest.Item]] = defaultdict(list)
        self.failed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One that fails is enough."""
        self.failed = self.failed or report.failed

    def run(self, item: pytest.Item) -> None:
        """One test. Of what it needed, that of the whole session, like servers, is left standing for the next fault."""
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=item.session)

    def costs(self, item: pytest.Item) -> float:
        """Seconds of the processor."""
        began = time.process_time()
        self.run(item)
        return time.process_time() - began

    def look(self) -> None:
        """Every test once, without a fault."""
        set_mutant_under_test("stats")
        made: set[str] = set()
        for item in self.items:
            self.cost_s[item] = self.costs(item)
            names = set(getattr(item, "fixturenames", ()))
            if self.cost_s[item] > SLOW_S and names - made:  # the first pays for what all share
                self.cost_s[item] = self.costs(item)
            made |= names
            for function in state()._stats:
                self.through[function].append(item)
            state()._stats.clear()
            if self.failed:
                pytest.exit(f"{item.nodeid} fails without any fault", 1)
        self.items.sort(key=lambda item: self.cost_s[item])
        set_mutant_under_test("")
        for kept in [one for one in gc.get_objects() if isinstance(one, functools._lru_cache_wrapper)]:
            kept.cache_clear()  # else a fault in what was remembered is never met
        gc.freeze()  # so that the forks share its pages

    def tests_of(self, fault: str) -> list[pytest.Item]:
        """The tests that pass through the faulty function, quickest first, as many as fit."""
        passing = set(self.through[fault.rpartition("__mutmut_")[0]])
        tests = [item for item in self.items if item in passing and self.cost_s[item] < SLOW_S]
        spent = itertools.accumulate(self.cost_s[item] for item in tests)
        return [item for item, so_far in zip(tests, spent, strict=True) if so_far < ENOUGH_S]

    def notices(self, fault: str, tests: list[pytest.Item]) -> bool:
        """Whether a test fails. Runs in a process of its own, which a signal ends when a test takes far too long."""
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        set_mutant_under_test(fault)
        for item in tests:
            signal.setitimer(
                signal.ITIMER_PROF, 0.5 + 5 * self.cost_s[item]
            )  # of the processor: it goes round and round
            signal.alarm(60 + int(60 * self.cost_s[item]))  # of the clock: it waits for what does not come
            self.run(item)
            if self.failed:
                return True
        return False

    def try_all(self, faults: list[str]) -> dict[str, str]:
        """The state of every fault."""
        states = dict.fromkeys(faults, "no tests")
        running: dict[int, str] = {}

        def wait() -> None:
            process, status = os.wait()
            ended = {0: "survived", 1: "killed"}
            states[running.pop(process)] = ended.get(os.waitstatus_to_exitcode(status), "timeout")

        for fault in faults:
            if not (tests := self.tests_of(fault)):
                continue
            while len(running) >= AT_ONCE:
                wait()
            if not (process := os.fork()):
                os._exit(_told_by(self, fault, tests))
            running[process] = fault
        while running:
            wait()
        return states


def _told_by(warm: Warm, fault: str, tests: list[pytest.Item]) -> int:
    try:
        return int(warm.notices(fault, tests))
    except BaseException:  # a fault that ends pytest itself was noticed
        return 1


def pytest_runtestloop(session: pytest.Session) -> bool:
    """In place of running the tests."""
    warm = Warm(session)
    session.config.pluginmanager.register(warm)
    warm.look()
    states = warm.try_all(json.loads(Path(os.environ["MUTANTS_TRY"]).read_text()))
    Path(os.environ["MUTANTS_TOLD"]).write_text(json.dumps(states))
    return True
