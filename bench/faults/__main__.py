"""`python -m bench.faults [--chaos-minutes 10] [--soak-minutes 60] [--only NAME]`: run the faults, print a page."""

import argparse
import asyncio
import os
import platform
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from bench.faults import scenarios
from bench.faults.scenarios import Row
from service.redis.embedded import find_server


def main() -> None:
    """Run, print, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--chaos-minutes", type=float, default=10)
    parser.add_argument("--soak-minutes", type=float, default=60)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--cancels", type=int, default=10_000)
    parser.add_argument("--only", action="append")
    parser.add_argument("--out", type=Path, default=Path("docs/evidence/faults.md"))
    options = parser.parse_args()
    plan: dict[str, Callable[[], Awaitable[Row]]] = {
        "worker": lambda: scenarios.worker_killed(options.jobs),
        "redis-stop": lambda: scenarios.redis_away("SIGTERM", options.jobs),
        "redis-kill": lambda: scenarios.redis_away("SIGKILL", options.jobs),
        "sigterm": scenarios.sigterm,
        "memory": lambda: scenarios.store_full("memory"),
        "disk": lambda: scenarios.store_full("disk"),
        "link": lambda: scenarios.link_cut(),
        "cancels": lambda: scenarios.cancels(options.cancels),
        "chaos": lambda: scenarios.chaos(options.chaos_minutes),
        "soak": lambda: scenarios.soak(options.soak_minutes),
    }
    rows = []
    for name, run in plan.items():
        if options.only and name not in options.only:
            continue
        began = time.monotonic()
        try:
            rows.append({**asyncio.run(run()), "took s": round(time.monotonic() - began)})  # type: ignore[arg-type]
        except Exception as error:  # one scenario that cannot run here must not hide the others
            rows.append({"fault": name, "note": f"did not run to its end: {type(error).__name__}: {error}"})
        print(rows[-1], flush=True)
        options.out.write_text(page(rows))


def page(rows: list[Row]) -> str:
    """The page: how it was measured, then one row a fault."""
    columns = ["fault", "jobs", "unfinished at the fault", "ended", "last end after s", "wrong bytes", "note", "took s"]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        lines.append("| " + " | ".join(str(row.get(column, "")).replace("|", "/") for column in columns) + " |")
    cores = len(os.sched_getaffinity(0))
    return "\n".join(
        [
            "# Faults: what happened to accepted work",
            "",
            "Made by `make evidence-faults`. Real processes (`ganymede serve --role api`, two `ganymede worker`), a",
            "real Redis with its log on disk, the shipped default bundle, real HTTP. Jobs: `POST /sample {seed, n: 24}`",
            "(8 in chaos) with `Prefer: respond-async`; leases of 5 s (the default). *Lost* would stand under *ended* as",
            "`lost`; *wrong bytes* are results whose pixels differ from an undisturbed request's, of so many compared.",
            "",
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {cores} cores ({platform.machine()}), {find_server().name}; load average "
            f"{os.getloadavg()[0]:.1f} while measuring: the machine was shared, so times are upper bounds.",
            "",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    main()
