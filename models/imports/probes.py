"""What only running a foreign graph tells: what its pictures look like and whether the same latent gives the same one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from models.counting import counted
from models.errors import ImportRefusedError
from models.imports.graphs.mend import static_shapes
from models.imports.graphs.picture import Picture, picture_of
from models.imports.graphs.roles import Roles
from models.imports.graphs.value_range import value_range
from models.imports.options import Options
from models.imports.report import Report
from models.imports.session import Computer, Session
from models.manifest import Latent
from models.mathematics import latents
from models.mathematics.latents import Vector
from models.runtimes.base import Array, one_hot

PICTURES = 64
MAX_PICTURE = 4 * 2048 * 2048
MAX_INSIDE = 1 << 28
"""Numbers in the largest tensor of one picture's way through the graph: a gigabyte."""
WIDER = np.float32(3.0)
"""Latents this much longer show more of a generator's range."""
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

    def are_given_by(self, dressed: ModelProto, vectors: Vector, labels: Array | None) -> bool:
        """Whether a graph in a bundle's signature runs for these latents and gives their pictures."""
        feed = {"noise": vectors} if labels is None else {"noise": vectors, "label": labels}
        try:
            given = Session(dressed).run(feed)[0]
        except ImportRefusedError:
            return False
        return given.shape == self.scaled[: len(vectors)].shape and bool(
            np.abs(given - self.scaled[: len(vectors)]).max() <= 2 * SAME
        )


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


def look(session: Computer, roles: Roles, options: Options, report: Report, original: Original | None = None) -> Looked:
    """Run the generator as it is on 64 latents; the raw pictures are those of `original` where there is another than the graph.

    Raises ImportRefusedError when its pictures are none, or are not repeatable.
    """
    count = roles.batch or 2
    vectors, labels = first_latents(roles, options, max(PICTURES, count))
    one = roles.feed(vectors[:count], None if labels is None else labels[:count])
    values = dict(zip(session.outputs, session.run(one), strict=True))
    picture = picture_of(list(session.outputs), values, count, options, report)
    if picture.channels * picture.height * picture.width > MAX_PICTURE:
        raise ImportRefusedError(f"pictures of {picture.height}x{picture.width} are larger than 2048x2048")
    again = picture.to_nchw(session.run(one, [picture.output])[0])

    def run(feed: dict[str, NDArray[Any]]) -> NDArray[Any]:
        return session.run(feed, [picture.output])[0]

    raw = all_pictures(original or run, roles, picture, vectors[:PICTURES], labels)
    wide = all_pictures(run, roles, picture, WIDER * vectors[:count], labels)
    low, high = value_range(raw, wide, session.last_operator(picture.output), options, report)
    _check_repeatable(picture.to_nchw(values[picture.output]), again, high - low)
    report.add("same latent twice", "the same picture", "measured")
    return Looked(picture, raw, low, high)


def all_pictures(run: Original, roles: Roles, picture: Picture, vectors: Vector, labels: Array | None) -> Array:
    """Raw pictures [n, c, h, w] of latents [n, size] through a graph whose batch may be fixed: the last one is filled up."""
    step = roles.batch or 16
    made, starts = [], range(0, len(vectors), step)
    for start in counted(starts, f"batches of {step} of the file's pictures", len(starts)):
        rows = (
            np.arange(start, start + step) % len(vectors)
            if roles.batch
            else np.arange(start, min(start + step, len(vectors)))
        )
        feed = roles.feed(vectors[rows], None if labels is None else labels[rows])
        made.append(picture.to_nchw(run(feed)))
    return np.concatenate(made)[: len(vectors)]


def _check_repeatable(once: Array, again: Array, span: float) -> None:
    difference = float(np.abs(once - again).max()) / span
    if difference > SAME:
        raise ImportRefusedError(
            f"the same latent gives different pictures (by {difference:.0%} of the range): something inside draws random "
            "numbers or keeps a state; export the generator after generator.eval() and with noise switched off"
        )
