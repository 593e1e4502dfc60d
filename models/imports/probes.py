"""What only running a foreign graph tells: its pictures' range, whether they are finite, and whether they are repeatable."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from models import latents
from models.errors import ImportRefusedError
from models.imports.onnx_mend import static_shapes
from models.imports.onnx_roles import Picture, Roles, picture_of
from models.imports.options import Options
from models.imports.report import Report
from models.imports.session import Session
from models.latents import Vector
from models.manifest import Latent
from models.runtimes.base import Array, one_hot

PICTURES = 64
MAX_PICTURE = 4 * 2048 * 2048
MAX_INSIDE = 1 << 28
"""Numbers in the largest tensor of one picture's way through the graph: a gigabyte."""
SAME = 1 / 255
"""Share of the range by which two computations of one picture may differ."""
Original = Callable[[dict[str, NDArray[Any]]], NDArray[Any]]


@dataclass(frozen=True)
class Looked:
    """What was seen: the picture output, the raw pictures of seeds 0..63 [n, c, h, w], and the range that becomes -1..1."""

    picture: Picture
    raw: Array
    low: float
    high: float

    @property
    def scaled(self) -> Array:
        """The raw pictures in -1..1, not clipped."""
        return np.asarray((self.raw - self.low) * np.float32(2 / (self.high - self.low)) - 1, np.float32)


def check_sizes(model: ModelProto) -> None:
    """Raises ImportRefusedError for a graph that would need gigabytes for one picture; nothing is run."""
    for name, shape in static_shapes(model, 1).items():
        count = np.prod([max(1, side) for side in shape], dtype=np.float64)
        if count > MAX_INSIDE:
            raise ImportRefusedError(
                f"{name!r} inside the graph holds {count:,.0f} numbers a picture; the limit is {MAX_INSIDE:,}"
            )


def prior(options: Options, size: int) -> Latent:
    """The latent of the bundle, one cut."""
    return Latent.model_validate(
        {"distribution": options.law, "size": size, "cuts": [{"name": "z", "shape": [size]}]}, strict=False
    )


def first_latents(roles: Roles, options: Options, count: int) -> tuple[Vector, Array | None]:
    """Latents of seeds 0..count-1 and labels in turn."""
    vectors = latents.draw(prior(options, roles.size), range(count))
    labels = one_hot([k % roles.classes for k in range(count)], roles.classes) if roles.label else None
    return vectors, labels


def look(model: ModelProto, roles: Roles, options: Options, report: Report, original: Original | None = None) -> Looked:
    """Run the graph as it is on 64 latents; the raw pictures are those of `original` where there is another than the graph.

    Raises ImportRefusedError when its pictures are none, or are not repeatable.
    """
    session = Session(model)
    count = roles.batch or 2
    vectors, labels = first_latents(roles, options, max(PICTURES, count))
    one = roles.feed(vectors[:count], None if labels is None else labels[:count])
    values = dict(zip(session.outputs, session.run(one), strict=True))
    picture = picture_of(session.outputs, values, count, options, report)
    if picture.channels * picture.height * picture.width > MAX_PICTURE:
        raise ImportRefusedError(f"pictures of {picture.height}x{picture.width} are larger than 2048x2048")
    again = picture.to_nchw(session.run(one, [picture.output])[0])

    def run(feed: dict[str, NDArray[Any]]) -> NDArray[Any]:
        return session.run(feed, [picture.output])[0]

    raw = all_pictures(original or run, roles, picture, vectors[:PICTURES], labels)
    low, high = _range(raw, options, report)
    _check_repeatable(picture.to_nchw(values[picture.output]), again, high - low)
    report.add("same latent twice", "the same picture", "measured")
    return Looked(picture, raw, low, high)


def all_pictures(run: Original, roles: Roles, picture: Picture, vectors: Vector, labels: Array | None) -> Array:
    """Raw pictures [n, c, h, w] of latents [n, size] through a graph whose batch may be fixed: the last one is filled up."""
    step = roles.batch or 16
    made = []
    for start in range(0, len(vectors), step):
        rows = (
            np.arange(start, start + step) % len(vectors)
            if roles.batch
            else np.arange(start, min(start + step, len(vectors)))
        )
        feed = roles.feed(vectors[rows], None if labels is None else labels[rows])
        made.append(picture.to_nchw(run(feed)))
    return np.concatenate(made)[: len(vectors)]


def _range(raw: Array, options: Options, report: Report) -> tuple[float, float]:
    """The values of black and white. A generator ends in tanh, in a sigmoid, or gives pixels; others are asked about."""
    if not np.isfinite(raw).all():
        raise ImportRefusedError(
            "the pictures hold values that are not finite (NaN or infinity); the weights are damaged"
        )
    lowest, highest = float(raw.min()), float(raw.max())
    seen = f"{lowest:.3g} to {highest:.3g} over {len(raw)} pictures"
    if options.range is not None:
        low, high = options.range
        if not low < high:
            raise ImportRefusedError("--range must be two numbers, the smaller first, such as 0,1")
        report.add("range", f"{low:g}..{high:g} (values seen: {seen})", "said")
        return low, high
    found = _nearest_range(lowest, highest)
    if found is None:
        raise ImportRefusedError(
            f"the pictures hold values of {seen}; say what is black and white with --range LOW,HIGH"
        )
    report.add("range", f"{found[0]:g}..{found[1]:g} (values seen: {seen})", "measured")
    return found


def _nearest_range(lowest: float, highest: float) -> tuple[float, float] | None:
    if lowest >= -0.01 and highest <= 1.05:
        return (0.0, 1.0)
    if lowest >= -2.6 and highest > 3.0 and highest <= 258:
        return (0.0, 255.0)
    if lowest >= -3.0 and highest <= 3.0:  # networks without a last tanh overshoot; the rest is clipped
        return (-1.0, 1.0)
    return None


def _check_repeatable(once: Array, again: Array, span: float) -> None:
    difference = float(np.abs(once - again).max()) / span
    if difference > SAME:
        raise ImportRefusedError(
            f"the same latent gives different pictures (by {difference:.0%} of the range): something inside draws random "
            "numbers or keeps a state; export the generator after generator.eval() and with noise switched off"
        )
