"""Cutting a picture into overlapping tiles so that memory stays bounded and no seam is visible: pure arithmetic.

A tile's window is its core and a halo around it, as far as the picture goes. All windows of a picture have one shape,
so that tiles of all callers share batches.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

CORE = 128


@dataclass(frozen=True)
class Span:
    """One axis of a tile, in input pixels: the window to compute and the core to keep."""

    window_start: int
    window_stop: int
    core_start: int
    core_stop: int


@dataclass(frozen=True)
class Tile:
    """One tile: rows and columns."""

    rows: Span
    columns: Span

    def window(self, factor: int = 1) -> tuple[slice, slice]:
        """Slices of the window in a picture enlarged by `factor`."""
        return tuple(slice(s.window_start * factor, s.window_stop * factor) for s in (self.rows, self.columns))  # type: ignore[return-value]

    def core(self, factor: int = 1) -> tuple[slice, slice]:
        """Slices of the core in a picture enlarged by `factor`."""
        return tuple(slice(s.core_start * factor, s.core_stop * factor) for s in (self.rows, self.columns))  # type: ignore[return-value]

    def core_in_window(self, factor: int = 1) -> tuple[slice, slice]:
        """Slices of the core in the window's own result."""
        spans = (self.rows, self.columns)
        return tuple(  # type: ignore[return-value]
            slice((s.core_start - s.window_start) * factor, (s.core_stop - s.window_start) * factor) for s in spans
        )


def tiles(height: int, width: int, halo: int, core: int = CORE) -> Iterator[Tile]:
    """Tiles whose cores cover height x width exactly once, each core `halo` away from any inner edge of its window."""
    for rows, columns in product(_spans(height, halo, core), _spans(width, halo, core)):
        yield Tile(rows, columns)


def _spans(length: int, halo: int, core: int) -> list[Span]:
    reach = min(length, core + 2 * halo)
    starts = range(0, length, core)
    windows = [max(0, min(start - halo, length - reach)) for start in starts]
    return [
        Span(window, window + reach, start, min(start + core, length))
        for window, start in zip(windows, starts, strict=True)
    ]
