"""The PNG writer against Pillow, which reads what everybody reads."""

import io
import json
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from save_files import SOURCE_TYPE
from service.images.encode import encode, magnify
from service.images.png import png
from service.images.sheet import contact_sheet
from tests.photographs import small_photographs


def read(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.verify()  # every chunk's CRC
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.sampled_from([1, 2, 3, 4]),
    scale=st.integers(1, 4),
    flat=st.booleans(),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=150, deadline=None)
def test_every_picture_comes_back_exactly(
    height: int, width: int, channels: int, scale: int, flat: bool, seed: int
) -> None:
    """Lossless for every size, number of channels, enlargement, and for flat areas."""
    rng = np.random.RandomState(seed)
    pixels = rng.randint(0, 256, (height, width, channels)).astype(np.uint8)
    pixels = magnify(pixels // (128 if flat else 1), scale)
    back = np.asarray(read(png(pixels))).reshape(pixels.shape)
    assert np.array_equal(back, pixels)


def test_recipe_mark_and_line_are_readable() -> None:
    """Other programs find the recipe, the line for people and the digital source type; long recipes are deflated."""
    pixels = np.zeros((4, 4, 3), np.uint8)
    for recipe in ({"model": "m@1", "seed": 7, "label": "Zürich ♥"}, {"model": "m@1", "latent": "A" * 5000}):
        text = read(encode(pixels, "png", recipe)).info
        assert json.loads(text["ganymede"]) == recipe
        assert text["parameters"].startswith("m@1")
        assert SOURCE_TYPE in text["XML:com.adobe.xmp"]
    assert "ganymede" not in read(encode(pixels, "png", recipe, "minimal")).info
    assert read(encode(pixels, "png", recipe, "none")).info == {}


@pytest.mark.parametrize("count", [2, 9, 16, 36, 64, 144])
def test_a_sheet_is_written_as_its_pictures_are(count: int) -> None:
    """The white between them is not taken for an enlargement, whose slower way saves photographs nothing: SUB and UP."""
    pictures = [small_photographs(64)[0]] * count
    for scale, filter_type in ((1, 2), (4, 1)):
        sheet = contact_sheet([magnify(picture[None], scale)[0] for picture in pictures])
        assert first_filter(png(sheet)) == filter_type


def first_filter(data: bytes) -> int:
    """The filter of a PNG's first row (RFC 2083, section 6)."""
    start = data.index(b"IDAT")
    return zlib.decompress(data[start + 4 : -16])[0]


@pytest.mark.parametrize("scale", [1, 4])
def test_photographs_are_not_much_larger_than_a_slow_encoder_makes_them(scale: int) -> None:
    """At most 1.15 times the bytes of Pillow at its default level, over photographs; 1.2 for enlarged ones."""
    pictures = [magnify(picture, scale) for picture in small_photographs()]
    ours = sum(len(png(picture)) for picture in pictures)
    theirs = 0
    for picture in pictures:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG", compress_level=6)
        theirs += buffer.tell()
    assert ours <= (1.15 if scale == 1 else 1.2) * theirs
