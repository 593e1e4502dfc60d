"""Uploads become upright sRGB pixels; bombs, broken files and impostors are refused quickly and cost little."""

import asyncio
import io
import resource
import time
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from service.errors import InvalidValueError, ServiceError, TooLargeError, UnsupportedPictureError
from service.images.uploads import Decoder
from service.settings import Settings
from tests.service.images.uploads.pictures import hollow_png, photo, saved, text_bomb_png


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    """A decoder with the default limits."""
    opened = Decoder(Settings(), children=1)
    yield opened
    await opened.close()


def modes() -> dict[str, bytes]:
    """The same picture in colour modes that phones, scanners and editors write."""
    colour = photo()
    deep = Image.fromarray(np.asarray(colour.convert("L")).astype(np.uint16) * 257)
    return {
        "rgb png": saved(colour, "PNG"),
        "bmp": saved(colour, "BMP"),
        "tiff": saved(colour, "TIFF"),
        "lossless webp": saved(colour, "WEBP", lossless=True),
        "jpeg": saved(colour, "JPEG", quality=98, subsampling=0),
        "cmyk jpeg": saved(colour.convert("CMYK"), "JPEG", quality=98),
        "cmyk tiff": saved(colour.convert("CMYK"), "TIFF"),
        "palette gif": saved(colour.quantize(256), "GIF"),
        "palette png": saved(colour.quantize(256), "PNG"),
        "grey png": saved(colour.convert("L"), "PNG"),
        "16-bit png": saved(deep, "PNG"),
        "16-bit tiff": saved(deep, "TIFF"),
        "float tiff": saved(Image.fromarray(np.asarray(colour.convert("L"), np.float32) / 255), "TIFF"),
        "animated gif": saved(colour.quantize(256), "GIF", save_all=True, append_images=[Image.new("P", colour.size)]),
    }


@pytest.mark.parametrize("kind", list(modes()))
async def test_every_format_and_mode_gives_the_same_picture(decoder: Decoder, kind: str) -> None:
    """Whatever the file is, the pixels are those of the picture, 8 bits, RGB."""
    decoded = await decoder.decode(modes()[kind])
    grey = any(word in kind for word in ("grey", "16-bit", "float"))
    expected = np.asarray(photo().convert("L").convert("RGB") if grey else photo(), np.float32)
    assert decoded.pixels.shape == expected.shape
    assert decoded.alpha is None
    assert np.abs(decoded.pixels - expected).mean() < (8 if "palette" in kind or "gif" in kind else 3)


@pytest.mark.parametrize("turn", range(1, 9))
async def test_a_turned_phone_is_put_upright(decoder: Decoder, turn: int) -> None:
    """All eight EXIF orientations are applied."""
    exif = Image.Exif()
    exif[0x0112] = turn
    data = saved(photo(), "PNG", exif=exif)
    with Image.open(io.BytesIO(data)) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    assert np.array_equal((await decoder.decode(data)).pixels, expected)


async def test_alpha_is_kept_apart(decoder: Decoder) -> None:
    """Transparency comes back as its own plane, from RGBA and from a transparent palette colour."""
    layered = photo().convert("RGBA")
    layered.putalpha(Image.linear_gradient("L").resize(layered.size))
    decoded = await decoder.decode(saved(layered, "PNG"))
    assert decoded.alpha is not None
    assert np.array_equal(decoded.alpha, np.asarray(layered.getchannel("A")))
    palette = photo().quantize(16)
    assert (await decoder.decode(saved(palette, "GIF", transparency=3))).alpha is not None


async def test_an_embedded_profile_is_honoured(decoder: Decoder) -> None:
    """Colours are brought to sRGB; a damaged profile is ignored."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert (
        np.abs((await decoder.decode(saved(photo(), "PNG", icc_profile=profile))).pixels - np.asarray(photo())).max()
        < 3
    )
    assert np.array_equal(
        (await decoder.decode(saved(photo(), "PNG", icc_profile=b"junk"))).pixels, np.asarray(photo())
    )


HOSTILE: dict[str, tuple[Callable[[], bytes], type[ServiceError]]] = {
    "400 megapixels in 50 kB": (lambda: hollow_png(20_000, 20_000), TooLargeError),
    "cut in half": (lambda: saved(photo(), "PNG")[:90], InvalidValueError),
    "jpeg cut in half": (lambda: saved(photo(300, 300), "JPEG")[:1500], InvalidValueError),
    "only a signature": (lambda: b"\x89PNG\r\n\x1a\n", InvalidValueError),
    "half a gigabyte of comment": (text_bomb_png, InvalidValueError),
    "svg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", UnsupportedPictureError),
    "html": (lambda: b"<!doctype html><title>x.png</title>", UnsupportedPictureError),
    "empty": (lambda: b"", InvalidValueError),
    "webp that claims 16384 x 16384": (
        lambda: saved(photo(), "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0")[:24] + b"\xff\x3f\0" * 2 + b"\0" * 40,
        TooLargeError,
    ),
    "webp whose extended header fits and whose frame is spoilt": (
        lambda: saved(photo(), "WEBP")[:40] + b"\xff" * 400,
        InvalidValueError,
    ),
}
"""Made when they are needed: half a gigabyte takes seconds to pack, and every process of the tests reads this module."""


@pytest.mark.parametrize("kind", list(HOSTILE))
async def test_hostile_files_are_refused_and_the_next_upload_works(decoder: Decoder, kind: str) -> None:
    """The refusal names what is wrong in one sentence, without paths, and nobody else suffers."""
    await decoder.decode(saved(photo(), "PNG"))
    make, error = HOSTILE[kind]
    data = make()
    started = time.perf_counter()
    with pytest.raises(error) as refused:
        await decoder.decode(data)
    assert time.perf_counter() - started < 5
    assert isinstance(refused.value, ServiceError)
    assert "/" not in refused.value.detail.replace("/image", "")
    assert (await decoder.decode(saved(photo(), "PNG"))).pixels.shape == (36, 48, 3)


async def test_a_decode_that_needs_too_much_memory_is_refused() -> None:
    """The child may not grow beyond its allowance, and the server does not notice."""
    decoder = Decoder(Settings(max_upload_pixels=200_000_000), children=1)
    decoder._allowance = 300 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with pytest.raises((TooLargeError, InvalidValueError)):
            await decoder.decode(hollow_png(14_000, 14_000))
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB
        assert (await decoder.decode(saved(photo(), "PNG"))).pixels.shape == (36, 48, 3)
    finally:
        await decoder.close()


async def test_a_cancelled_decode_leaves_the_decoder_usable(decoder: Decoder) -> None:
    """A client that hangs up in the middle of a decode does not mix its pixels into the next answer."""
    await decoder.decode(saved(photo(), "PNG"))
    task = asyncio.ensure_future(decoder.decode(hollow_png(6_000, 6_000)))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert np.array_equal((await decoder.decode(saved(photo(), "PNG"))).pixels, np.asarray(photo()))


async def test_many_uploads_at_once(decoder: Decoder) -> None:
    """Each caller gets the picture it sent."""
    sizes = [(10 + k, 20 + k) for k in range(12)]
    answers = await asyncio.gather(*(decoder.decode(saved(photo(w, h), "PNG")) for w, h in sizes))
    assert [a.pixels.shape[:2] for a in answers] == [(h, w) for w, h in sizes]
