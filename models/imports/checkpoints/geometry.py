"""Strides, paddings and enlargements, which a state dictionary does not say: the usual ones by kernel size, likeliest first."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.imports.checkpoints.blocks import Block

Geometry = tuple[int, int, int]
TRANSPOSED: dict[int, tuple[Geometry, ...]] = {
    1: ((1, 0, 0), (1, 2, 0)),
    2: ((2, 0, 0), (1, 0, 0)),
    3: ((2, 1, 1), (1, 1, 0), (2, 0, 0), (1, 0, 0)),
    4: ((2, 1, 0), (1, 0, 0), (2, 0, 0)),
    5: ((2, 2, 1), (1, 2, 0), (3, 1, 0), (1, 0, 0)),
    6: ((2, 2, 0), (1, 0, 0)),
    7: ((1, 3, 0), (2, 3, 1), (1, 0, 0)),
    8: ((4, 2, 0), (2, 3, 0), (1, 0, 0)),
}
"""(stride, padding, extra) of transposed convolutions by kernel size."""
WHOLE: Geometry = (1, 0, 0)
ODD_ONE_OUT: Geometry = (3, 1, 0)
"""A last kernel of 5 after kernels of 4: Lornatang's generator of 96 pixels."""
NAMES = ("deconv", "convt", "tconv", "trans")


@dataclass(frozen=True)
class Choice:
    """How one block is computed: `enlarge` first, then its weights, `transposed` or not, with this geometry."""

    enlarge: bool
    transposed: bool
    geometry: Geometry

    def side(self, side: int, kernel: int) -> int:
        """The side in pixels that comes of a side and a kernel."""
        stride, padding, extra = self.geometry
        if self.transposed:
            return (side - 1) * stride - 2 * padding + kernel + extra
        return side + 2 * padding - kernel + 1


def choices_of(blocks: Sequence[Block], k: int) -> list[Choice]:
    """The possible readings of block `k`, the likeliest first."""
    weight = blocks[k].weight
    if weight.ndim == 2:
        return [Choice(False, False, WHOLE)]
    if k == 0:
        return [Choice(False, True, WHOLE)]
    if is_transposed(blocks, k):
        usual = TRANSPOSED.get(weight.shape[2], (WHOLE,))
        return [Choice(False, True, one) for one in ((ODD_ONE_OUT, *usual) if _is_odd_one_out(blocks, k) else usual)]
    enlarged, padded = _is_enlarged(blocks, k), (1, weight.shape[2] // 2, 0)
    order = [Choice(enlarged, False, padded), Choice(not enlarged, False, padded), Choice(enlarged, False, WHOLE)]
    return [one for one in order if not (one.enlarge and blocks[k].gap == 0)]


def _is_odd_one_out(blocks: Sequence[Block], k: int) -> bool:
    before = [one.weight.shape[2:] for one in blocks[:k]]
    return k > 1 and k == len(blocks) - 1 and blocks[k].weight.shape[2:] == (5, 5) and set(before) == {(4, 4)}


def is_transposed(blocks: Sequence[Block], k: int) -> bool:
    """Whether a weight [a, b, kh, kw] takes a channels (transposed) or b; where both fit, even kernels are transposed."""
    if k == 0:
        return True
    first, second, kernel, _ = blocks[k].weight.shape
    given = _given_channels(blocks, k)
    if given is not None and first != second:
        return bool(given == first)
    return any(word in blocks[k].module.path.lower() for word in NAMES) or bool(kernel % 2 == 0)


def _given_channels(blocks: Sequence[Block], k: int) -> int | None:
    """Channels of what the block before gives; None after a linear layer without a norm that would say so."""
    before = blocks[k - 1]
    if before.norm is not None:
        return before.normed if before.weight.ndim == 4 or before.becomes_picture else None
    if before.weight.ndim == 2:
        return None
    return int(before.weight.shape[1 if is_transposed(blocks, k - 1) else 0])


def _is_enlarged(blocks: Sequence[Block], k: int) -> bool:
    """Whether the picture is enlarged before an ordinary convolution: told by the gap, else not before the last."""
    block, before = blocks[k], blocks[k - 1]
    if block.weight.shape[2] == 1:
        return False
    if block.gap is not None:
        return block.gap >= 2 or (block.gap == 1 and before.becomes_picture)
    return block.leading > 0 or k < len(blocks) - 1
