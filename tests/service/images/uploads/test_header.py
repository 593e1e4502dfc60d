"""Format and size are read from the first bytes, without a decoder."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.images.uploads.header import read_header
from tests.service.images.uploads.pictures import photo, saved

FORMATS = ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"]


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("size", [(48, 36), (1, 1), (300, 7)])
def test_every_format_tells_its_size(file_format: str, size: tuple[int, int]) -> None:
    """The size is known before anything is decoded."""
    header = read_header(saved(photo(*size), file_format))
    assert header is not None
    assert (header.format, header.width, header.height) == (file_format, *size)


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}])
def test_all_three_kinds_of_webp(options: dict[str, object]) -> None:
    """Lossy, lossless and extended WebP keep their size in different places."""
    header = read_header(saved(photo(), "WEBP", **options))
    assert header is not None
    assert (header.width, header.height) == (48, 36)


def test_a_progressive_jpeg_with_a_thumbnail_before_the_frame() -> None:
    """Long application segments before the frame header are stepped over."""
    exif = Image.Exif()
    exif[0x010E] = "x" * 60_000
    header = read_header(saved(photo(), "JPEG", progressive=True, exif=exif))
    assert header is not None
    assert (header.width, header.height) == (48, 36)


@pytest.mark.parametrize(
    "data",
    [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<!doctype html>", b"PK\3\4", b"%PDF-1.7", b"RIFF1234WAVE"],
)
def test_what_is_no_picture_has_no_header(data: bytes) -> None:
    """SVG, HTML and archives are told apart by their bytes, whatever they are named."""
    assert read_header(data) is None


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FORMATS), st.integers(0, 400), st.binary(max_size=60))
def test_garbage_after_a_good_start_never_raises(file_format: str, cut: int, tail: bytes) -> None:
    """Cut and spoilt files have a header or none; nothing else happens."""
    read_header(saved(photo(5, 4), file_format)[:cut] + tail)
