"""Which output of a foreign graph is the picture, and in what layout."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.errors import ImportRefusedError
from models.imports.options import Options
from models.imports.report import Report


@dataclass(frozen=True)
class Picture:
    """The output that is the picture: its name, its layout, and its size in pixels."""

    output: str
    layout: Literal["nchw", "nhwc", "flat"]
    channels: int
    height: int
    width: int

    def to_nchw(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """What the graph gave, as float32 [n, c, h, w]; the range as it is."""
        values = np.asarray(raw, np.float32)
        if self.layout == "nhwc":
            return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        return values.reshape(len(values), self.channels, self.height, self.width)


def picture_of(
    names: list[str], values: Mapping[str, NDArray[Any]], count: int, options: Options, report: Report
) -> Picture:
    """Which output is the picture, told from what `count` latents gave. Raises ImportRefusedError when none can be."""
    if options.output is not None and options.output not in names:
        raise ImportRefusedError(f"there is no output {options.output!r}; there are {', '.join(names)}")
    fitting = [(name, _layout(values[name], count, options)) for name in names if options.output in (None, name)]
    found = [(name, layout) for name, layout in fitting if layout is not None]
    if not found:
        shapes = ", ".join(f"{name} {list(values[name].shape)}" for name in names)
        raise ImportRefusedError(
            f"no output is a picture of 1, 3 or 4 channels: {shapes}; say it with --output, or its size with --size"
        )
    name, (layout, channels, height, width) = max(found, key=lambda one: values[one[0]].size)
    report.add("picture", f"{height}x{width}, {channels} channels, {layout} ({name})", "measured")
    return Picture(name, layout, channels, height, width)


def _layout(
    value: NDArray[Any], count: int, options: Options
) -> tuple[Literal["nchw", "nhwc", "flat"], int, int, int] | None:
    if len(value) != count or value.ndim < 2 or value.dtype.kind not in "fui":
        return None
    if value.ndim == 4 and value.shape[1] in (1, 3, 4) and options.layout != "nhwc":
        return ("nchw", *value.shape[1:])
    if value.ndim == 4 and value.shape[3] in (1, 3, 4) and options.layout != "nchw":
        return ("nhwc", value.shape[3], value.shape[1], value.shape[2])
    if value.ndim == 3:
        return ("flat", 1, *value.shape[1:])
    return _flat(value.shape[1], options) if value.ndim == 2 else None


def _flat(numbers: int, options: Options) -> tuple[Literal["flat"], int, int, int] | None:
    if options.size is not None:
        height, width = options.size
        channels, rest = divmod(numbers, height * width)
        return ("flat", channels, height, width) if rest == 0 and channels in (1, 3, 4) else None
    for channels in (1, 3, 4):
        side = math.isqrt(numbers // channels)
        if channels * side * side == numbers and side >= 4:
            return ("flat", channels, side, side)
    return None
