"""Rounds as tables, and the results page."""

import datetime
import platform
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from bench.server.rounds import Plan, Rounds

PAGE = Path(__file__).parents[1] / "RESULTS.md"
MARK = "<!-- newest first -->\n"


def table(rounds: Rounds, workloads: Sequence[str]) -> str:
    """One Markdown table a workload: medians over the rounds, and ratios to the limit of the same run."""
    return "\n".join(_one(rounds, workload) for workload in workloads)


def _one(rounds: Rounds, workload: str) -> str:
    limit = rounds.median("limit", workload, "pictures_per_s")
    limit_cpu = rounds.median("limit", workload, "server_cpu_ms")
    lines = [
        f"\n### {workload}\n",
        "| target | pictures/s | of limit | CPU ms a picture (added) | limit's CPU / server's CPU | p50 / p90 / p99 / p99.9 ms | "
        "memory MiB | ready s | failed |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in rounds.names():
        value = {what: rounds.median(name, workload, what) for what in _WHAT}
        if value["pictures_per_s"] != value["pictures_per_s"]:
            continue
        cpu = value["server_cpu_ms"]
        cuts = " / ".join(f"{value[p]:.1f}" for p in ("p50_ms", "p90_ms", "p99_ms", "p999_ms"))
        served = name not in {"bare", "limit"}
        tail = (
            f"{cuts} | {value['memory_mb']:.0f} | {value['ready_s']:.2f} | {value['failed']:.0f}"
            if served
            else " | | | "
        )
        lines.append(
            f"| {name} | {value['pictures_per_s']:.0f} | {value['pictures_per_s'] / limit:.2f} | "
            f"{cpu:.3f} ({cpu - limit_cpu:+.3f}) | {limit_cpu / cpu if cpu else 0:.2f} | {tail} |"
        )
    return "\n".join(lines)


_WHAT = ("pictures_per_s", "server_cpu_ms", "p50_ms", "p90_ms", "p99_ms", "p999_ms", "memory_mb", "ready_s", "failed")


def machine() -> str:
    """Processor, cores, memory and the versions that matter."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = re.search(r"model name\s*:\s*(.+)", info)
    cores = info.count("processor\t") or "?"
    load = Path("/proc/loadavg").read_text().split()[:2] if Path("/proc/loadavg").exists() else ["?"]
    return (
        f"{name.group(1) if name else platform.processor()}, {cores} cores, Linux {platform.release()}, "
        f"Python {platform.python_version()}, "
        f"onnxruntime {version('onnxruntime')}, numpy {version('numpy')}; load average at the end {' '.join(load)}"
    )


def write(text: str, plan: Plan, bundles: Sequence[str], page: Path = PAGE) -> None:
    """Put a dated section at the top of the results page."""
    now = datetime.datetime.now(datetime.UTC)
    command = "python -m bench " + " ".join(sys.argv[1:])
    head = (
        f"## {now:%Y-%m-%d %H:%M} UTC\n\n- Machine: {machine()}\n- Command: `{command}`; {plan.rounds} interleaved rounds of "
        f"{plan.seconds:g} s, medians; {plan.cores} processes; bundles {', '.join(bundles)}\n"
    )
    before, mark, after = page.read_text().partition(MARK)
    page.write_text(f"{before}{mark}\n{head}{text}\n{after}")
