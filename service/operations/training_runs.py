"""Training runs as the studio shows them: what lies in the folder of run folders, read and never written."""

import json
import re
from pathlib import Path
from typing import Any

from service.errors import NotFoundError

COLLAPSE_RATIO = 0.35  # of the real set's diversity; the same bound at which training warns
MAX_POINTS = 400
MAX_STATS_BYTES = 8 << 20
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
GRID = re.compile(r"step-([0-9]{8})\.png\Z")
_RATIO = "diversity_ratio"


def list_runs(root: Path | None) -> list[dict[str, Any]]:
    """A row for every run folder, the most recently written first; empty without a folder of runs."""
    if root is None or not root.is_dir():
        return []
    folders = [path for path in root.iterdir() if NAME.match(path.name) and (path / "stats.jsonl").is_file()]
    folders.sort(key=lambda path: (path / "stats.jsonl").stat().st_mtime, reverse=True)
    return [_row(path, read_stats(path)) for path in folders]


def one_run(root: Path | None, name: str) -> dict[str, Any]:
    """A run with its curves, each at most 400 points [step, value]. Raises NotFoundError."""
    folder = _folder(root, name)
    stats = read_stats(folder)
    return {**_row(folder, stats), "curves": curves(stats)}


def grid_file(root: Path | None, name: str, step: int) -> Path:
    """The fixed-seed grid of one step. Raises NotFoundError."""
    path = _folder(root, name) / "grids" / f"step-{step:08d}.png"
    if not path.is_file():
        raise NotFoundError(f"run {name} has no grid of step {step}")
    return path


def read_stats(folder: Path) -> list[dict[str, Any]]:
    """The lines of stats.jsonl, its last 8 MiB; a half-written last line is left for the next look."""
    with (folder / "stats.jsonl").open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - MAX_STATS_BYTES))
        lines = file.read().splitlines()
    return [row for row in map(_parsed, lines) if row is not None]


def curves(stats: list[dict[str, Any]]) -> dict[str, list[list[float]]]:
    """Every number by name against the step, thinned evenly; the first and the last point stay."""
    found: dict[str, list[list[float]]] = {}
    for row in stats:
        for key, value in row.items():
            if key not in {"step", "images", "seconds"} and isinstance(value, int | float):
                found.setdefault(key, []).append([row["step"], value])
    return {key: _thinned(points) for key, points in sorted(found.items())}


def _thinned(points: list[list[float]]) -> list[list[float]]:
    if len(points) <= MAX_POINTS:
        return points
    last = len(points) - 1
    return [points[round(k * last / (MAX_POINTS - 1))] for k in range(MAX_POINTS)]


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("step"), int) else None


def _folder(root: Path | None, name: str) -> Path:
    folder = root / name if root is not None and NAME.match(name) else None
    if folder is None or not (folder / "stats.jsonl").is_file():
        raise NotFoundError(f"there is no run called {name}")
    return folder


def _row(folder: Path, stats: list[dict[str, Any]]) -> dict[str, Any]:
    ratio = next((row[_RATIO] for row in reversed(stats) if isinstance(row.get(_RATIO), int | float)), None)
    grids = folder / "grids"
    found = [GRID.match(path.name) for path in grids.iterdir()] if grids.is_dir() else []
    return {
        "name": folder.name,
        "step": max((row["step"] for row in stats), default=0),
        "images": max((row.get("images", 0) for row in stats), default=0),
        "seconds": max((row.get("seconds", 0.0) for row in stats), default=0.0),
        _RATIO: ratio,
        "collapsed": ratio is not None and ratio < COLLAPSE_RATIO,
        "grids": sorted(int(match[1]) for match in found if match),
        "url": f"/training/runs/{folder.name}",
    }
