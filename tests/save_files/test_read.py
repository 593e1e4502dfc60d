"""Reading recipes: what survives an ordinary re-save, and files that lie."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import save_files
from save_files import DamagedRecipeError, read_recipe, read_recipes
from service.images.animation import animate
from service.images.encode import ImageFormat, encode
from tests.service.operations.upsample.conftest import noisy

RECIPE = {"model": "tiny@0123456789abcdef", "seed": 7, "label": "café “7”"}
LARGE = {"model": "tiny@0123456789abcdef", "latent": "QUJD" * 60_000}
PIXELS = noisy(20, 16)
FILES = {kind: encode(PIXELS, kind, RECIPE) for kind in ("png", "webp", "jpeg")}
FILES |= {
    f"moving {kind}": animate([PIXELS, PIXELS[::-1]], f"image/{kind}", 9, True, RECIPE) for kind in ("webp", "gif")
}


@pytest.mark.parametrize("kind", FILES)
def test_every_format_carries_it(kind: str) -> None:
    assert read_recipe(FILES[kind]) == RECIPE
    assert read_recipes(FILES[kind]) == [("", RECIPE)]
    assert b"trainedAlgorithmicMedia" in FILES[kind] or kind == "moving gif"


@pytest.mark.parametrize("kind", ["png", "webp", "jpeg"])
def test_however_long_it_is(kind: ImageFormat) -> None:
    """A latent of a pyramid is longer than a segment of a JPEG."""
    assert read_recipe(encode(PIXELS, kind, LARGE)) == LARGE


def resaved(data: bytes, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).save(buffer, kind, **options)
    return buffer.getvalue()


def test_what_survives_pillow() -> None:
    """The table in docs/save-files.md: comments stay by themselves, EXIF where it is handed on, as programs do."""
    assert read_recipe(resaved(FILES["jpeg"], "JPEG", quality=50)) == RECIPE
    assert read_recipe(resaved(FILES["moving gif"], "GIF", save_all=True)) == RECIPE
    assert read_recipe(resaved(FILES["png"], "PNG")) is None
    for kind, other in (("webp", "WEBP"), ("webp", "JPEG"), ("jpeg", "WEBP"), ("webp", "PNG"), ("jpeg", "PNG")):
        exif = Image.open(io.BytesIO(FILES[kind])).getexif()
        assert read_recipe(resaved(FILES[kind], other, exif=exif)) == RECIPE, (kind, other)


def test_people_can_read_it_too() -> None:
    """The EXIF description is a sentence, and other programs see valid EXIF."""
    exif = Image.open(io.BytesIO(FILES["webp"])).getexif()
    assert exif[0x010E].startswith("tiny@0123456789abcdef seed 7")
    assert exif.get_ifd(0x8769)[0x9286].startswith(b"ASCII\0\0\0ganymede {")


def test_other_files_have_none() -> None:
    """Not ours, cut off, or no picture at all."""
    assert read_recipe(b"") is None
    for data in FILES.values():
        assert read_recipe(resaved(data, "BMP")) is None
    with pytest.raises(DamagedRecipeError):
        read_recipe(b"PK\x03\x04 no archive")
    with pytest.raises(DamagedRecipeError):
        read_recipe(FILES["jpeg"].replace(b'"seed":7', b'"seed":,'))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_damage_never_escapes(kind: str, data: st.DataObject) -> None:
    """Whatever bytes are changed or cut, there is a recipe, none, or a damaged one: never another error."""
    file = bytearray(FILES[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_recipe(bytes(file[: data.draw(st.integers(0, len(file)))]))
    except DamagedRecipeError:
        return
    assert found is None or isinstance(found, dict)


def test_a_bomb_is_not_unpacked() -> None:
    """A compressed chunk that would grow without end is cut at the limit and called damaged."""
    import zlib

    body = b"ganymede\0\1\0\0\0" + zlib.compress(b"{" + b" " * (save_files.LARGEST_RECIPE + 10))
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + b"\0\0\0\0"
    with pytest.raises(DamagedRecipeError):
        read_recipe(b"\x89PNG\r\n\x1a\n" + chunk)
