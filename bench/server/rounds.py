"""Interleaved rounds: the limit and every target take turns, so that a busy machine is as hard on each of them."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench.server import limit
from bench.server.client import Next, Tally, closed_loop, open_loop
from bench.server.targets import Target
from bench.server.workloads import Workload

KINDS = {("png", True): "png", ("png", False): "sheet", ("npy", True): "npy", ("npy", False): "npy"}


@dataclass
class Row:
    """One target under one workload in one round."""

    target: str
    workload: str
    pictures_per_s: float
    server_cpu_ms: float
    client_cpu_ms: float = 0.0
    p50_ms: float = float("nan")
    p90_ms: float = float("nan")
    p99_ms: float = float("nan")
    p999_ms: float = float("nan")
    memory_mb: float = 0.0
    ready_s: float = 0.0
    failed: int = 0


@dataclass
class Rounds:
    """Every row of a run."""

    rows: list[Row] = field(default_factory=list)

    def median(self, target: str, workload: str, what: str) -> float:
        """The median over the rounds; NaN when the target never ran."""
        values = [getattr(r, what) for r in self.rows if r.target == target and r.workload == workload]
        return statistics.median(values) if values else float("nan")

    def names(self) -> list[str]:
        """Targets in the order they ran."""
        return list(dict.fromkeys(row.target for row in self.rows))


@dataclass(frozen=True)
class Plan:
    """How long everything takes."""

    bundles: Path
    work: Path
    cores: int
    rounds: int = 3
    warm_s: float = 1.5
    seconds: float = 5.0


def run(plan: Plan, targets: Sequence[Target], workloads: Sequence[Workload]) -> Rounds:
    """All rounds; a server that does not come up or fails is reported and left out of that round."""
    rounds = Rounds()
    for turn in range(plan.rounds):
        for workload in workloads:
            for kind in ("bare", KINDS[workload.media, workload.n == 1]):
                rounds.rows.append(limit_row(plan, workload, kind))
            shift = turn % max(len(targets), 1)
            for target in [*targets[shift:], *targets[:shift]]:
                try:
                    rounds.rows.append(measure(plan, target, workload, turn))
                except (RuntimeError, OSError) as error:
                    print(f"  {target.name}: {error}", flush=True)
    return rounds


def limit_row(plan: Plan, workload: Workload, kind: str) -> Row:
    """The loop without a server: `bare` is the runtime alone, `limit` adds the encoder."""
    loop = limit.measure(plan.bundles / workload.bundle, kind, plan.seconds, plan.cores)
    row = Row("bare" if kind == "bare" else "limit", workload.name, loop.pictures_per_s, loop.cpu_ms)
    return _told(row)


def measure(plan: Plan, target: Target, workload: Workload, turn: int) -> Row:
    """One server, started fresh, under one workload."""
    with target.start(plan.bundles, workload.bundle, plan.work, plan.cores) as server:
        following = workload.requests(target.path, turn * 10_000_000)
        drive(server.port, workload.requests(target.path, 5), workload.callers, 0.0, plan.warm_s)
        cpu = server.cpu_s()
        tally = drive(server.port, following, workload.callers, 0.0, plan.seconds)
        used = server.cpu_s() - cpu
        memory = server.memory_mb()
    return _told(row_of(target.name, workload.name, tally, used, memory, server.ready_s))


def drive(port: int, following: Next, callers: int, warm_s: float, seconds: float) -> Tally:
    """A closed loop in an event loop of its own."""
    return uvloop.run(closed_loop(port, following, callers, warm_s, seconds))


def drive_open(port: int, following: Next, per_s: float, warm_s: float, seconds: float, seed: int) -> Tally:
    """An open loop in an event loop of its own."""
    return uvloop.run(open_loop(port, following, per_s, warm_s, seconds, seed=seed))


def row_of(target: str, workload: str, tally: Tally, cpu_s: float, memory_mb: float, ready_s: float) -> Row:
    """The figures of one run of load. CPU is counted over all pictures that were answered, the last ones included."""
    made = max(tally.answered_pictures, 1)
    cuts = {name: tally.percentile(q) * 1e3 for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999))}
    return Row(
        target,
        workload,
        tally.pictures_per_s,
        cpu_s / made * 1e3,
        tally.client_cpu_s / made * 1e3,
        cuts["p50"],
        cuts["p90"],
        cuts["p99"],
        cuts["p999"],
        memory_mb,
        ready_s,
        sum(count for status, count in tally.statuses.items() if status != 200),
    )


def _told(row: Row) -> Row:
    print(
        f"{time.strftime('%H:%M:%S')} {row.workload:22} {row.target:24} {row.pictures_per_s:8.1f} pictures/s"
        f"  server {row.server_cpu_ms:6.3f} ms CPU a picture, client {row.client_cpu_ms:5.3f}"
        f"  p50 {row.p50_ms:6.1f} p99 {row.p99_ms:6.1f} ms  failed {row.failed}",
        flush=True,
    )
    return row


__all__ = ["Plan", "Rounds", "Row", "drive", "drive_open", "run"]
