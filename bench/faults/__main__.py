"""`python -m bench.faults [--chaos-minutes 10] [--soak-minutes 60] [--only NAME]`: run the faults, keep a page."""

import argparse
import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.faults import scenarios, soak
from bench.faults.chaos import chaos
from bench.faults.page import Row, record
from bench.faults.slow_clients import slow_clients

Scenario = Callable[[], Coroutine[Any, Any, Row]]


def main() -> None:
    """Run, print, and put each row into the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults")
    parser.add_argument("--chaos-minutes", type=float, default=10)
    parser.add_argument("--soak-minutes", type=float, default=60)
    parser.add_argument("--chaos-rate", type=float, default=20, help="requests a second, half of them jobs")
    parser.add_argument("--chaos-kills", type=float, default=30, help="kills a minute")
    parser.add_argument("--soak-rate", type=float, default=20, help="requests a second")
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--cancels", type=int, default=10_000)
    parser.add_argument("--slow-clients", type=int, default=1000)
    parser.add_argument("--only", action="append")
    parser.add_argument("--out", type=Path, default=Path("docs/evidence/faults.md"))
    options = parser.parse_args()
    plan: dict[str, Scenario] = {
        "worker": lambda: scenarios.worker_killed(options.jobs),
        "redis-stop": lambda: scenarios.redis_away("SIGTERM", options.jobs),
        "redis-kill": lambda: scenarios.redis_away("SIGKILL", options.jobs),
        "sigterm": scenarios.sigterm,
        "memory": lambda: scenarios.store_full("memory"),
        "disk": lambda: scenarios.store_full("disk"),
        "link": lambda: scenarios.link_cut(),
        "cancels": lambda: scenarios.cancels(options.cancels),
        "slow-clients": lambda: slow_clients(options.slow_clients),
        "chaos": lambda: chaos(options.chaos_minutes, options.chaos_rate, options.chaos_kills),
        "soak": lambda: soak.soak(options.soak_minutes, options.soak_rate),
    }
    for name, run in plan.items():
        if not options.only or name in options.only:
            row = measured(name, run)
            print(row, flush=True)
            record(options.out, name, row)


def measured(name: str, run: Scenario) -> Row:
    """One row, with when and under which load it was measured."""
    began, now = time.monotonic(), f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
    try:
        row = asyncio.run(run())
    except Exception as error:  # one scenario that cannot run here must not hide the others
        row = {"fault": name, "note": f"did not run to its end: {type(error).__name__}: {error}"}
    load = f"{os.getloadavg()[2]:.1f}"
    return {**row, "took s": round(time.monotonic() - began), "measured (UTC)": now, "load average": load}


if __name__ == "__main__":
    main()
