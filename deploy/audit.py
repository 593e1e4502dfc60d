"""`python -m deploy.audit`: are our packages known to be vulnerable? Part of `make check`.

A vulnerability service is asked about the installed packages. Where none can be asked (an offline machine, a package mirror
without vulnerability data) the committed locks are compared with the committed snapshot of advisories, and the day of that
snapshot is said. A release that is known to be vulnerable is asked about first; a service that calls it sound knows
nothing, and its word is not taken.

Exit status: 1 when a package is known to be vulnerable, by a service or by the snapshot; 0 when all were checked and none
is; where something could not be checked, 0 with a line that says NOT CHECKED, or 2 with `--required` (for releases).
`--write-snapshot` keeps what osv.dev says of the locked packages as deploy/advisories.json.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from deploy.advisories import SNAPSHOT, Snapshot, brief, read_snapshot
from deploy.locked import find_locks, read_locks

ROOT = Path(__file__).parent.parent
CANARY = "pillow==9.0.0"  # CVE-2022-22817 and many more
SERVICES = ("pypi", "osv")
OSV = "https://api.osv.dev/v1/query"
CANARY_S, AUDIT_S = 30, 240
Run = Callable[[Sequence[str], int], dict[str, Any]]


class NotMadeError(Exception):
    """No report came; the text says why."""


def pip_audit(options: Sequence[str], limit_s: int) -> dict[str, Any]:
    """The JSON report of one run. Raises NotMadeError."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "-f",
        "json",
        "--progress-spinner",
        "off",
        "--timeout",
        "10",
        *options,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
        report: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise NotMadeError(f"no answer within {limit_s} s") from None
    except ValueError:
        lines = done.stderr.strip().splitlines()
        raise NotMadeError((lines[-1] if lines else "pip-audit said nothing").split(":")[0][:120]) from None
    return report


def audit(service: str, run: Run, options: Sequence[str]) -> dict[str, Any]:
    """The report over what the options name. Raises NotMadeError when the service cannot be asked or knows nothing."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "canary.txt"
        file.write_text(CANARY + "\n")
        canary = run(["-s", service, "--no-deps", "--disable-pip", "-r", str(file)], CANARY_S)
    if not found_in(canary):
        raise NotMadeError(f"it does not know that {CANARY} is vulnerable")
    return run(["-s", service, *options], AUDIT_S)


def asked_in(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of packages that the service knows."""
    return [row for row in report["dependencies"] if "skip_reason" not in row]


def found_in(report: dict[str, Any]) -> list[str]:
    """`name version: ids` of every vulnerable package."""
    rows = [row for row in report["dependencies"] if row.get("vulns")]
    return [f"{row['name']} {row['version']}: {', '.join(v['id'] for v in row['vulns'])}" for row in rows]


def ask(run: Run, options: Sequence[str] = ("--local", "--skip-editable")) -> tuple[str, dict[str, Any]]:
    """The first service that can be asked, and its report. Raises NotMadeError with the reasons of all."""
    reasons = []
    for service in SERVICES:
        try:
            return service, audit(service, run, options)
        except NotMadeError as error:
            reasons.append(f"{service}: {error}")
    raise NotMadeError("; ".join(reasons))


def offline(reason: str, required: bool, root: Path) -> int:
    """What can be said without a service."""
    print(f"audit: no vulnerability service could be asked ({reason})")
    locks, snapshot = find_locks(root), read_snapshot(root / SNAPSHOT)
    names = ", ".join(str(file.relative_to(root)) for file in locks) or "no committed lock"
    if snapshot is None or not locks:
        print(f"audit: NOT CHECKED, {names}, advisory snapshot of {'<none>' if snapshot is None else snapshot.day}")
        return 2 if required else 0
    pins = read_locks(locks)
    known = [pin for pin in pins if pin[0] in snapshot.covers]
    print(f"audit: checked {len(known)} releases of {names}", end=" ")
    print(f"against {len(snapshot.advisories)} advisories of {snapshot.day} ({snapshot.source})")
    if len(known) < len(pins):
        print(f"audit: NOT CHECKED: {len(pins) - len(known)} releases of packages that the snapshot does not cover")
    print("\n".join(snapshot.found_in(known)) or "audit: none of them is known to be vulnerable")
    return 1 if snapshot.found_in(known) else 2 if required and len(known) < len(pins) else 0


def write_snapshot(root: Path, transport: httpx.BaseTransport | None = None) -> int:
    """Ask osv.dev about every locked package and keep the answers; exit status 2 when it cannot be asked."""
    names = sorted({name for name, _ in read_locks(find_locks(root))})
    advisories = []
    with httpx.Client(timeout=30, transport=transport) as client:
        for name in names:
            try:
                answer = client.post(OSV, json={"package": {"name": name, "ecosystem": "PyPI"}}).raise_for_status()
            except httpx.HTTPError as error:
                print(f"audit: osv.dev could not be asked ({type(error).__name__}); the snapshot stays as it was")
                return 2
            advisories += [brief(one, name) for one in answer.json().get("vulns", ())]
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    Snapshot(today, "osv.dev", names, advisories).write(root / SNAPSHOT)
    print(f"audit: {SNAPSHOT} holds {len(advisories)} advisories about {len(names)} packages")
    return 0


def main(run: Run = pip_audit, arguments: Sequence[str] = (), root: Path = ROOT) -> int:
    """Ask, or compare; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.audit", description="Known vulnerabilities of our packages."
    )
    parser.add_argument("--required", action="store_true", help="exit 2 when something could not be checked")
    parser.add_argument("--write-snapshot", action="store_true", help="keep what osv.dev says of the locks")
    wish = parser.parse_args(arguments)
    if wish.write_snapshot:
        return write_snapshot(root)
    try:
        service, report = ask(run)
    except NotMadeError as error:
        return offline(str(error), wish.required, root)
    skipped = len(report["dependencies"]) - len(asked_in(report))
    print(f"audit: {len(asked_in(report))} installed packages asked about, {skipped} unknown to {service}")
    print("\n".join(found_in(report)) or "audit: none is known to be vulnerable")
    return 1 if found_in(report) else 2 if skipped and wish.required else 0


if __name__ == "__main__":
    sys.exit(main(arguments=sys.argv[1:]))
