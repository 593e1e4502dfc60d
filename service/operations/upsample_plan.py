"""What an upsampling request means for one bundle: where the picture enters the chain and which levels follow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.manifest import Manifest
from models.mathematics.pyramid import enlarge, reduce
from models.runtimes.base import Array, from_pixels
from service.errors import InvalidValueError, TooLargeError
from service.images.uploads import Decoded
from service.settings import Settings

Alpha = NDArray[np.uint8]


@dataclass(frozen=True)
class Step:
    """One level to run: its index in the bundle and the height and width of its result."""

    level: int
    height: int
    width: int


@dataclass(frozen=True)
class Plan:
    """The levels to run and the size the picture enters with. `any_size`: one level again and again, in tiles."""

    height: int
    width: int
    steps: tuple[Step, ...]
    any_size: bool

    @property
    def factor(self) -> int:
        """How many times larger the result is than the picture that entered."""
        return self.steps[-1].height // self.height


def plan(
    manifest: Manifest,
    height: int,
    width: int,
    *,
    factor: int | None = None,
    levels: int | None = None,
    start_size: int | None = None,
) -> Plan:
    """Raises InvalidValueError for a factor, a number of levels or a start size the bundle does not have."""
    if manifest.upsampling is None:
        raise InvalidValueError(f"{manifest.name} does not enlarge pictures", pointer="/model", hint="not an upsampler")
    if manifest.upsampling.kind == "any-size":
        return _any_size(manifest, height, width, factor, levels, start_size)
    return _fixed(manifest, min(height, width), factor, levels, start_size)


def _any_size(
    manifest: Manifest, height: int, width: int, factor: int | None, levels: int | None, start_size: int | None
) -> Plan:
    assert manifest.upsampling is not None
    if start_size is not None:
        raise _refuse("/start_size", f"{manifest.name} takes pictures of any size as they are")
    once, largest = manifest.levels[0].factor or 2, manifest.upsampling.max_factor
    factors = [once**k for k in range(1, 7) if once**k <= largest]
    if levels is not None and not levels <= len(factors):
        raise _refuse("/levels", f"1 to {len(factors)}")
    if factor is not None and factor not in factors:
        raise _refuse("/factor", f"one of {', '.join(map(str, factors))}")
    count = levels or (factors.index(factor) + 1 if factor else 1)
    steps = tuple(Step(0, height * once**k, width * once**k) for k in range(1, count + 1))
    return Plan(height, width, steps, any_size=True)


def _fixed(manifest: Manifest, short_side: int, factor: int | None, levels: int | None, start_size: int | None) -> Plan:
    assert manifest.upsampling is not None
    starts, final = sorted(manifest.upsampling.start_sizes), manifest.image.height
    if start_size is not None and start_size not in starts:
        raise _refuse("/start_size", f"one of {', '.join(map(str, starts))}")
    start = start_size or _start_for(starts, final, short_side, factor)
    entry = next(k for k, level in enumerate(manifest.levels) if level.previous == (start, start))
    rest = [Step(k, *level.output) for k, level in enumerate(manifest.levels) if k >= entry]
    if levels is not None and levels > len(rest):
        raise _refuse("/levels", f"1 to {len(rest)} from {start} pixels")
    chosen = tuple(rest[:levels])
    if factor is not None:
        chosen = tuple(step for step in rest if step.height <= start * factor)
        if not chosen or chosen[-1].height != start * factor:
            raise _refuse("/factor", f"one of {_factors(starts if start_size is None else [start], final)}")
    return Plan(start, start, chosen, any_size=False)


def _start_for(starts: Sequence[int], final: int, short_side: int, factor: int | None) -> int:
    """The start that a factor needs to end at the bundle's size; else the largest the picture fills."""
    if factor is not None and final % factor == 0 and final // factor in starts:
        return final // factor
    return max((s for s in starts if s <= short_side), default=starts[0])


def _factors(starts: Sequence[int], final: int) -> str:
    return ", ".join(str(final // start) for start in reversed(starts) if final % start == 0)


def check_pixels(settings: Settings, plan: Plan, variants: int) -> None:
    """Raises TooLargeError when the answer would have too many pixels, saying what would fit."""
    pixels = variants * plan.steps[-1].height * plan.steps[-1].width
    if pixels <= settings.max_result_pixels:
        return
    fitting = [s for s in plan.steps if variants * s.height * s.width <= settings.max_result_pixels]
    hint = f"; factor {fitting[-1].height // plan.height} fits" if fitting else "; send a smaller picture"
    raise TooLargeError(f"{pixels} pixels in one answer; the limit is {settings.max_result_pixels}{hint}")


def entry_picture(manifest: Manifest, plan: Plan, decoded: Decoded) -> tuple[Array, Alpha | None, tuple[str, ...]]:
    """The picture float32 [1, c, h, w] that enters the chain, its alpha uint8 [h', w'], and what was done to it."""
    pixels, alpha = decoded.pixels, decoded.alpha
    notes: tuple[str, ...] = ()
    if not plan.any_size and pixels.shape[0] != pixels.shape[1]:
        pixels, alpha = _middle(pixels), None if alpha is None else _middle(alpha)
        notes = ("the middle square of the picture was taken",)
    if manifest.image.channels == 4:  # such a generator makes its own alpha
        plane = np.full(pixels.shape[:2], 255, np.uint8) if alpha is None else alpha
        pixels, alpha = np.concatenate([pixels, plane[:, :, None]], axis=2), None
    image = from_pixels(pixels[None])
    if manifest.image.channels == 1:
        weights = np.asarray([0.299, 0.587, 0.114], np.float32)
        image = np.tensordot(weights, image, ([0], [1]))[:, None].astype(np.float32)
    if image.shape[2:] != (plan.height, plan.width):
        resize = reduce if image.shape[2] > plan.height else enlarge
        image = resize(image, plan.height, plan.width)
    return np.ascontiguousarray(image), alpha, notes


def _middle(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    side = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return pixels[top : top + side, left : left + side]


def with_alpha(pixels: NDArray[np.uint8], alpha: Alpha | None) -> NDArray[np.uint8]:
    """Pixels [h, w, c] with the alpha plane, plainly resized to them, as a fourth channel; as they are without one."""
    if alpha is None:
        return pixels
    height, width, channels = pixels.shape
    resized = np.asarray(Image.fromarray(alpha).resize((width, height), Image.Resampling.BILINEAR))
    colour = pixels if channels == 3 else pixels.repeat(3, axis=2)
    return np.concatenate([colour, resized[:, :, None]], axis=2)


def _refuse(pointer: str, sentence: str) -> InvalidValueError:
    return InvalidValueError(f"{pointer[1:]} must be {sentence}", pointer=pointer, hint=sentence)
