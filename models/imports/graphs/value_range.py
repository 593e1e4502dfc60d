"""Which values of a foreign picture are black and white: what was said, the operator it ends in, or the values seen."""

import numpy as np
from onnx import ModelProto

from models.errors import ImportRefusedError
from models.imports.options import Options
from models.imports.report import Report
from models.runtimes.base import Array

PASSING = ("Identity", "Reshape", "Transpose", "Cast", "Flatten", "Squeeze", "Unsqueeze", "Dropout")
"""Operators that leave values as they are."""
BY_OPERATOR = {"Tanh": (-1.0, 1.0), "Sigmoid": (0.0, 1.0)}
NEARLY_BLACK, BLACK_SHARE, BRIGHT = 0.05, 0.01, 0.25
"""Of a range that begins at 0 this share of the values lies below the first and some above the last; the pictures of an
unlearned network may all be of one grey, and none of it negative."""


def last_operator(model: ModelProto, output: str) -> str:
    """The operator that made the values of an output; empty for an input."""
    makers = {name: node for node in model.graph.node for name in node.output}
    while output in makers and makers[output].op_type in PASSING:
        output = makers[output].input[0]
    return makers[output].op_type if output in makers else ""


def value_range(raw: Array, wide: Array, operator: str, options: Options, report: Report) -> tuple[float, float]:
    """The values of black and white, given pictures of usual latents and of wider ones.

    Raises ImportRefusedError for values that are not finite and for ranges that nobody uses.
    """
    if not np.isfinite(raw).all():
        raise ImportRefusedError(
            "the pictures hold values that are not finite (NaN or infinity); the weights are damaged"
        )
    lowest, highest = float(np.nanmin([raw.min(), wide.min()])), float(np.nanmax([raw.max(), wide.max()]))
    seen = f"{lowest:.3g} to {highest:.3g}"
    if options.range is not None:
        low, high = options.range
        if not low < high:
            raise ImportRefusedError("--range must be two numbers, the smaller first, such as 0,1")
        report.add("range", f"{low:g}..{high:g} (values seen: {seen})", "said")
        return low, high
    if operator in BY_OPERATOR:
        low, high = BY_OPERATOR[operator]
        if operator == "Tanh" and lowest >= -0.01 and highest > BRIGHT and np.mean(raw < NEARLY_BLACK) >= BLACK_SHARE:
            report.add("range", f"0..1, no value of its tanh is negative (values seen: {seen})", "measured")
            return 0.0, 1.0
        report.add("range", f"{low:g}..{high:g}, the range of {operator.lower()} (values seen: {seen})", "file")
        return low, high
    found = _nearest(lowest, highest)
    if found is None:
        raise ImportRefusedError(
            f"the pictures hold values of {seen}; say what is black and white with --range LOW,HIGH"
        )
    report.add("range", f"{found[0]:g}..{found[1]:g} (values seen: {seen})", "measured")
    return found


def _nearest(lowest: float, highest: float) -> tuple[float, float] | None:
    """Networks without a last tanh overshoot their range a little; what lies outside is clipped."""
    if lowest >= -0.01 and highest <= 1.05:
        return (0.0, 1.0)
    if lowest >= -8.0 and 3.0 < highest <= 300.0:
        return (0.0, 255.0)
    if lowest >= -3.0 and highest <= 3.0:
        return (-1.0, 1.0)
    return None
