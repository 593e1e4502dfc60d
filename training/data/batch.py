"""What data is to an algorithm: a specification and batches; the reading of files is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class DataSpec:
    """What an algorithm must know of the data: height in pixels, channels, the classes (empty = unconditional), and the
    width where it is another."""

    size: int
    channels: int
    classes: tuple[str, ...] = ()
    width: int = 0

    @property
    def sides(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.size, self.width or self.size


@dataclass(frozen=True)
class Batch:
    """Real pictures [B, C, H, W] float32 in [-1, 1] and, where labelled, one-hot labels [B, K] float32.

    In semi-supervised recipes `labels` is None and `labelled` holds every picture whose label was kept.
    """

    pictures: Tensor
    labels: Tensor | None = None
    labelled: Batch | None = None

    def chunks(self, count: int) -> list[Batch]:
        """The batch cut into `count` equal ones, for algorithms that move a player several times per step."""
        labels = [None] * count if self.labels is None else self.labels.chunk(count)
        return [Batch(*pair, self.labelled) for pair in zip(self.pictures.chunk(count), labels, strict=True)]
