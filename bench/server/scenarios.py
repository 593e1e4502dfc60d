"""How the server behaves when things are not even: `python -m bench.server.scenarios mixed|overload|neighbour|cold|soak`.

mixed: open-loop public traffic at several rates, goodput under a p99 bound, beside the rivals that are installed.
overload: five times what it can do; goodput, how fast and how truthfully it refuses.
neighbour: n=1 latency alone and beside one request for 10,000 pictures.
cold: start to ready with two bundles, memory of one and of one more process.
soak: random sizes over all bundles; resident memory over time.
"""

import argparse
import itertools
import json
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.server.bundles import link
from bench.server.client import Next, Tally
from bench.server.processes import Running
from bench.server.rounds import drive, drive_open
from bench.server.targets import GANYMEDE, ONE_PROCESS, RIVALS, Ganymede, Target
from bench.server.workloads import Workload, mixed, request

P99_BOUND_S = 1.0
SHARES = (0.8, 0.9, 1.0, 1.05, 1.1, 1.15, 1.2, 1.25)
"""Of what a target does with one picture a request: sheets cost it less, so that mixed traffic may carry more."""


def capacity(server: Running, path: str, bundle: str, seconds: float) -> float:
    """n=1 pictures a second with 32 callers, once every process is there: the first answers before the others."""
    drive(server.port, Workload("", bundle, 1, "png", 32).requests(path), 32, 0.0, 2.0)
    return drive(server.port, Workload("", bundle, 1, "png", 32).requests(path), 32, 1.0, seconds).pictures_per_s


def run_mixed(work: Path, bundles: Path, bundle: str, cores: int, seconds: float) -> None:
    """Goodput: pictures answered a second at the highest rate whose p99 stays under the bound, all targets in turn."""
    for target in _rivals_and_we():
        with target.start(bundles, bundle, work, cores) as server:
            best = capacity(server, target.path, bundle, seconds)
            pictures_each = 0.85 + 0.13 * 16 + 0.02 * 64
            for share in SHARES:
                rate = share * best / pictures_each
                tally = drive_open(server.port, mixed(target.path, bundle, 1), rate, 1.0, seconds, seed=1)
                within = tally.percentile(0.99) <= P99_BOUND_S and not tally.not_sent and set(tally.statuses) == {200}
                say(target.name, share=share, pictures_per_s=tally.pictures_per_s, within_bound=within, **cuts(tally))
                if not within:
                    break


def _rivals_and_we() -> list[Target]:
    """Ours and the installed rivals; GANYMEDE_BENCH_RIVALS names some of them, separated by spaces."""
    wanted = os.environ.get("GANYMEDE_BENCH_RIVALS", " ".join(r.name for r in RIVALS)).split()
    return [GANYMEDE, *(r for r in RIVALS if r.name in wanted and r.python.exists())]


def run_overload(work: Path, bundles: Path, bundle: str, cores: int, seconds: float) -> None:
    """Arrivals at five times the capacity against a queue that holds about a quarter of a second of work."""
    with ONE_PROCESS.start(bundles, bundle, work, cores) as server:
        peak = capacity(server, "/sample", bundle, seconds)
    environment = (("GANYMEDE_QUEUE_PICTURES", str(max(16, int(peak / 4)))),)
    with Ganymede("overloaded", environment=environment).start(bundles, bundle, work, cores) as server:
        following = Workload("", bundle, 1, "png", 1).requests("/sample")
        drive(server.port, following, 1, 0.0, 2.0)  # until every bundle is open
        tally = drive_open(server.port, following, 5 * peak, 2.0, seconds, seed=2)
    say(
        "overload",
        peak_pictures_per_s=peak,
        goodput_share=tally.pictures_per_s / peak,
        statuses={str(status): count for status, count in tally.statuses.items()},
        refused_p50_ms=tally.percentile(0.5, tally.refusals) * 1e3,
        refused_p99_ms=tally.percentile(0.99, tally.refusals) * 1e3,
        retry_after_s=statistics.median(tally.retry_after) if tally.retry_after else None,
        not_sent=tally.not_sent,
        generator_share=tally.client_cpu_s / (cores * (seconds + 2.0)),
        **cuts(tally),
    )


def run_neighbour(work: Path, bundles: Path, bundle: str, cores: int, seconds: float) -> None:
    """p99 of four callers who want one picture each, alone and beside requests for 10,000 pictures as npy."""
    environment = (
        ("GANYMEDE_MAX_PICTURES", "10000"),
        ("GANYMEDE_ASYNC_PICTURES", "20000"),
        ("GANYMEDE_TIMEOUT_S", "600"),
    )
    with Ganymede("neighbour", environment=environment).start(bundles, bundle, work, cores) as server:
        following = Workload("", bundle, 1, "png", 4).requests("/sample")
        alone = drive(server.port, following, 4, 2.0, seconds)
        stop = threading.Event()
        big = threading.Thread(target=_ask_for_many, args=(server.port, bundle, stop), daemon=True)
        big.start()
        beside = drive(server.port, following, 4, 2.0, seconds)
        stop.set()
    ratio = beside.percentile(0.99) / alone.percentile(0.99)
    say("neighbour", alone=cuts(alone), beside=cuts(beside), p99_ratio=ratio)


def _ask_for_many(port: int, bundle: str, stop: threading.Event) -> None:
    while not stop.is_set():
        one: Next = lambda: (request("/sample", bundle, 10_000, 1, "npy"), 10_000)  # noqa: E731
        drive(port, one, 1, 0.0, 1.0)


def run_cold(work: Path, bundles: Path, bundle: str, cores: int, seconds: float) -> None:
    """Seconds from the command to /readyz, and proportional memory after a little work."""
    memory = {}
    for processes in (1, 2, 3):
        options = ("--processes", str(processes))
        starts = []
        for _ in range(3):
            with Ganymede("cold", options=options).start(bundles, bundle, work, cores) as server:
                starts.append(server.ready_s)
                drive(server.port, Workload("", bundle, 1, "png", 8).requests("/sample"), 8, 0.0, seconds / 5)
                memory[processes] = server.memory_mb()
        say("cold", processes=processes, ready_s=statistics.median(starts), memory_mb=memory[processes])
    say("cold", one_more_process_mb=memory[3] - memory[2])


def run_soak(work: Path, bundles: Path, bundle: str, cores: int, seconds: float) -> None:
    """Random sizes and representations over every bundle; memory twelve times over the run."""
    names = sorted(folder.name for folder in bundles.iterdir())
    rng, seeds = random.Random(0), itertools.count()

    def following() -> tuple[bytes, int]:
        n = rng.choice((1, 1, 1, 2, 5, 16, 64, 200))
        return request("/sample", rng.choice(names), n, next(seeds), rng.choice(("png", "npy", "jpeg"))), n

    with GANYMEDE.start(bundles, bundle, work, cores) as server:
        for step in range(12):
            tally = drive(server.port, following, 8, 0.0, seconds / 12)
            say("soak", minute=round((step + 1) * seconds / 720, 1), memory_mb=server.memory_mb(), **cuts(tally))


def cuts(tally: Tally) -> dict[str, float]:
    """Latency percentiles in milliseconds."""
    return {f"p{100 * q:g}_ms": tally.percentile(q) * 1e3 for q in (0.5, 0.9, 0.99, 0.999)}


def say(name: str, **figures: object) -> None:
    """One line of JSON a figure."""
    rounded = {k: _rounded(v) for k, v in figures.items()}
    print(json.dumps({"scenario": name, "at": time.strftime("%H:%M:%S"), **rounded}), flush=True)


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


SCENARIOS: dict[str, tuple[Callable[[Path, Path, str, int, float], None], float]] = {
    "mixed": (run_mixed, 10.0),
    "overload": (run_overload, 10.0),
    "neighbour": (run_neighbour, 10.0),
    "cold": (run_cold, 5.0),
    "soak": (run_soak, 3600.0),
}


def main() -> None:
    """Parse and run one scenario."""
    found = argparse.ArgumentParser(prog="python -m bench.server.scenarios", description=__doc__)
    found.add_argument("scenario", choices=SCENARIOS)
    found.add_argument("--seconds", type=float)
    found.add_argument("--work")
    options = found.parse_args()
    work = Path(options.work or tempfile.mkdtemp(prefix="ganymede-bench-"))
    bundles = work / "bundles"
    bundles.mkdir(parents=True, exist_ok=True)
    big = link(bundles, "faces64")
    link(bundles, "fashion32")
    run, seconds = SCENARIOS[options.scenario]
    run(work, bundles, big, len(os.sched_getaffinity(0)), options.seconds or seconds)


if __name__ == "__main__":
    main()
