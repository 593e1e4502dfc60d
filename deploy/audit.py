"""`python -m deploy.audit`: are the installed packages known to be vulnerable? Part of `make check`.

Exit 1 when one is. Where no service can be asked (an offline machine, a package mirror without vulnerability data) it
says that the audit was not made, and why, and exits 0: what nobody could check has not failed. A release that is known
to be vulnerable is asked about first; a service that calls it sound knows nothing, and its word is not taken.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CANARY = "pillow==9.0.0"  # CVE-2022-22817 and many more
SERVICES = ("pypi", "osv")
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


def audit(service: str, run: Run) -> dict[str, Any]:
    """The report over this environment. Raises NotMadeError when the service cannot be asked or knows nothing."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "canary.txt"
        file.write_text(CANARY + "\n")
        canary = run(["-s", service, "--no-deps", "--disable-pip", "-r", str(file)], CANARY_S)
    if not found_in(canary):
        raise NotMadeError(f"it does not know that {CANARY} is vulnerable")
    return run(["-s", service, "--local", "--skip-editable"], AUDIT_S)


def found_in(report: dict[str, Any]) -> list[str]:
    """`name version: ids` of every vulnerable package."""
    rows = [row for row in report["dependencies"] if row.get("vulns")]
    return [f"{row['name']} {row['version']}: {', '.join(v['id'] for v in row['vulns'])}" for row in rows]


def main(run: Run = pip_audit) -> int:
    """Ask the first service that can be asked."""
    reasons = []
    for service in SERVICES:
        try:
            report = audit(service, run)
        except NotMadeError as error:
            reasons.append(f"{service}: {error}")
            continue
        skipped = sum("skip_reason" in row for row in report["dependencies"])
        print(f"audit: {len(report['dependencies']) - skipped} packages asked about, {skipped} unknown to {service}")
        print("\n".join(found_in(report)) or "audit: none is known to be vulnerable")
        return 1 if found_in(report) else 0
    print(f"audit NOT MADE: no vulnerability service could be asked ({'; '.join(reasons)})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
