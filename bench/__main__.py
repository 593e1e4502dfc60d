"""`python -m bench`: parse, delegate, print. `make bench` runs it with its defaults."""

import argparse
import os
import tempfile
from pathlib import Path

from bench.server import report
from bench.server.bundles import link
from bench.server.rounds import Plan, run
from bench.server.targets import AUTO, GANYMEDE, NULL, ONE_PROCESS, PILLOW, RIVALS, Target
from bench.server.workloads import standard


def main() -> None:
    """The results table: every target, every workload, beside the limit, in one run."""
    options = parser().parse_args()
    work = Path(options.work or tempfile.mkdtemp(prefix="ganymede-bench-"))
    work.mkdir(parents=True, exist_ok=True)
    bundles = work / "bundles"
    bundles.mkdir(exist_ok=True)
    big, small = link(bundles, options.big), link(bundles, options.small)
    plan = Plan(bundles, work, options.processes, options.rounds, 1.5, options.seconds)
    chosen = [w for w in standard(big, small) if not options.only or any(word in w.name for word in options.only)]
    rounds = run(plan, targets(options.targets), chosen)
    text = report.table(rounds, [w.name for w in chosen])
    print(text)
    if options.write:
        report.write(text, plan, [big, small])


def targets(names: list[str]) -> list[Target]:
    """The targets asked for; without names, ours and every rival that is installed."""
    ours: dict[str, Target] = {"ganymede": GANYMEDE, "auto": AUTO, "one": ONE_PROCESS, "null": NULL}
    known = ours | {rival.name: rival for rival in (*RIVALS, *PILLOW)}
    if names:
        return [known[name] for name in names]
    return [GANYMEDE, ONE_PROCESS, *(rival for rival in (*RIVALS, *PILLOW) if rival.python.exists())]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="python -m bench", description=main.__doc__)
    found.add_argument("--rounds", type=int, default=5, help="interleaved rounds; medians are reported (5)")
    found.add_argument("--seconds", type=float, default=5.0, help="measured seconds of each run (5)")
    found.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), help="processes (one a core)")
    found.add_argument(
        "--targets", nargs="*", default=[], help="ganymede auto one null mosec 'mosec, Pillow' fastapi ..."
    )
    found.add_argument("--only", nargs="*", default=[], help="workloads whose name contains one of these words")
    found.add_argument("--big", default="faces64", help="bundle of 64-pixel pictures (faces64)")
    found.add_argument("--small", default="fashion32", help="bundle of 32-pixel pictures (fashion32)")
    found.add_argument("--work", help="folder for bundles and data (a temporary one)")
    found.add_argument("--write", action="store_true", help="put the table at the top of bench/RESULTS.md")
    return found


if __name__ == "__main__":
    main()
