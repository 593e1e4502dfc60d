"""The page of the faults: a row a scenario, each with its date and the load it was measured under.

Rows are kept as JSON beside the page, so that one scenario can be measured again without the others. What a person wrote
below the table stays.
"""

import json
import os
import platform
from pathlib import Path
from typing import Any

from service.redis.embedded import find_server

Row = dict[str, Any]
COLUMNS = ("fault", "jobs", "unfinished at the fault", "ended", "last end after s", "wrong bytes", "note", "took s")
MEASURED = ("measured (UTC)", "load average")
NOTES = "## What these rows do not say"


def record(page: Path, name: str, row: Row) -> None:
    """Put the row of one scenario into the page, in the place of an older one."""
    kept = page.with_suffix(".json")
    rows: dict[str, Row] = json.loads(kept.read_text()) if kept.exists() else {}
    rows[name] = row
    kept.write_text(json.dumps(rows, indent=1) + "\n")
    _, found, notes = page.read_text().partition(NOTES) if page.exists() else ("", "", "")
    page.write_text(head(list(rows.values())) + (f"\n{found}{notes}" if found else ""))


def head(rows: list[Row]) -> str:
    """How it was measured, then one row a fault."""
    columns = (*COLUMNS, *MEASURED)
    cells = [[str(row.get(column, "")).replace("|", "/") for column in columns] for row in rows]
    lines = [" | ".join(columns), "|".join("---" for _ in columns), *[" | ".join(row) for row in cells]]
    return "\n".join(
        [
            "# Faults: what happened to accepted work",
            "",
            "Made by `make evidence-faults`. Real processes (`ganymede serve --role api`, two `ganymede worker`),",
            "a real Redis or Valkey with its log on disk, shipped bundles, real HTTP. Jobs: `POST /sample {seed, n: 24}`",
            "(8 in chaos) with `Prefer: respond-async`. *Lost* would stand under *ended* as `lost`; *wrong bytes* are",
            "results whose pixels differ from an undisturbed request's, of so many compared.",
            "",
            f"{len(os.sched_getaffinity(0))} cores ({platform.machine()}), last run on {find_server().name}. The machine was",
            "shared: each row says under which load average (of 15 minutes) it was measured, and its times are upper bounds.",
            "",
            *[f"| {line} |" if "---" not in line else f"|{line}|" for line in lines],
            "",
        ]
    )
