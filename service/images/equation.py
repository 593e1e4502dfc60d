"""An equation of pictures: every operand with its exemplars above it, the signs between them, and what comes out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from service.images.encode import on_white, to_image
from service.images.png import Pixels

GAP = 4
SIGN_WIDTH = 22
CAPTION_HEIGHT = 14
CAPTION_SIZE = 10
INK, PAPER, FAINT = (20, 20, 20), (255, 255, 255), (170, 170, 170)


@dataclass(frozen=True)
class Column:
    """One operand: its sign, a factor such as `1.5`, exemplar pictures, its own picture (None for a direction)."""

    sign: str
    factor: str
    exemplars: tuple[Pixels, ...]
    picture: Pixels | None
    caption: str


def draw_equation(columns: Sequence[Column], result: Pixels, side: tuple[int, int], caption: str) -> Pixels:
    """One picture uint8 [H, W, 3]: `columns` left to right, then `=` and `result`; `side` is (height, width) of a cell."""
    rows = max(1 + max(len(column.exemplars) for column in columns), 1)
    tall = max(rows * (side[0] + GAP), result.shape[0] + GAP)
    wide = sum(_width(column, side[1]) for column in columns) + SIGN_WIDTH + result.shape[1] + 2 * GAP
    canvas = Image.new("RGB", (wide, tall + CAPTION_HEIGHT + GAP), PAPER)
    pen, left = ImageDraw.Draw(canvas), GAP
    for k, column in enumerate(columns):
        _draw_column(canvas, pen, column, left, tall, side, first=k == 0)
        left += _width(column, side[1])
    middle = tall - max(side[0], min(result.shape[0], tall)) // 2
    _sign(pen, "=", left, middle)
    canvas.paste(on_white(to_image(result)), (left + SIGN_WIDTH, tall - result.shape[0]))
    _caption(pen, caption, left + SIGN_WIDTH, tall, result.shape[1])
    return np.asarray(canvas)


def _width(column: Column, side: int) -> int:
    return SIGN_WIDTH + _factor_width(column) + side + GAP


def _factor_width(column: Column) -> int:
    return 7 * len(column.factor) + 4 if column.factor else 0


def _draw_column(
    canvas: Image.Image,
    pen: ImageDraw.ImageDraw,
    column: Column,
    left: int,
    bottom: int,
    side: tuple[int, int],
    *,
    first: bool,
) -> None:
    height, width = side
    middle = bottom - height // 2
    if not (first and column.sign == "+"):
        _sign(pen, column.sign, left, middle)
    left += SIGN_WIDTH
    if column.factor:
        pen.text((left, middle - 6), f"{column.factor}×", fill=INK, font=_font(11))
        left += _factor_width(column)
    for k, pixels in enumerate(reversed(column.exemplars), 1):
        canvas.paste(on_white(to_image(pixels)), (left, bottom - (k + 1) * (height + GAP) + GAP))
    if column.exemplars:
        pen.line((left, bottom - height - GAP // 2 - 1, left + width, bottom - height - GAP // 2 - 1), fill=FAINT)
    if column.picture is not None:
        canvas.paste(on_white(to_image(column.picture)), (left, bottom - height))
    else:
        pen.rectangle((left, bottom - height, left + width - 1, bottom - 1), outline=FAINT)
        pen.line((left + 6, middle, left + width - 8, middle), fill=INK, width=2)
        pen.line(
            (left + width - 14, middle - 5, left + width - 8, middle, left + width - 14, middle + 5), fill=INK, width=2
        )
    _caption(pen, column.caption, left, bottom, width)


def _sign(pen: ImageDraw.ImageDraw, sign: str, left: int, middle: int) -> None:
    """Drawn with lines, so that it looks the same wherever Pillow's font differs."""
    centre, arm = left + SIGN_WIDTH // 2 - 2, 6
    if sign == "=":
        for y in (middle - 3, middle + 3):
            pen.line((centre - arm, y, centre + arm, y), fill=INK, width=2)
        return
    pen.line((centre - arm, middle, centre + arm, middle), fill=INK, width=2)
    if sign == "+":
        pen.line((centre, middle - arm, centre, middle + arm), fill=INK, width=2)


def _caption(pen: ImageDraw.ImageDraw, text: str, left: int, top: int, width: int) -> None:
    font = _font(CAPTION_SIZE)
    while text and pen.textlength(text, font=font) > width:
        text = text.removesuffix("…")[:-1] + "…" if len(text.removesuffix("…")) > 1 else ""
    pen.text((left, top + 2), text, fill=INK, font=font)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
