"""The checks an upload passes before anything decodes it."""

from service.errors import InvalidValueError, TooLargeError, UnsupportedPictureError
from service.images.uploads.header import Header, read_header
from service.settings import Settings

READ = "PNG, JPEG, WebP, GIF, BMP or TIFF"
MAX_SIDE = 65_500


def check_upload(data: bytes, settings: Settings) -> Header:
    """Refuse in microseconds what cannot or must not be decoded; returns what the file says of itself.

    Raises UnsupportedPictureError (not a picture we read), TooLargeError (too many pixels), InvalidValueError (empty).
    """
    if not data:
        raise InvalidValueError("there is no picture", pointer="/image", hint=f"send a {READ}")
    header = read_header(data)
    if header is None:
        raise UnsupportedPictureError(f"this is not a picture the server reads; send a {READ}")
    if header.pixels > settings.max_upload_pixels or max(header.width or 0, header.height or 0) > MAX_SIDE:
        raise TooLargeError(
            f"the picture has {header.width} x {header.height} pixels; the limit is {settings.max_upload_pixels}"
        )
    if header.width == 0 or header.height == 0:
        raise damaged(header, "it has no pixels")
    return header


def damaged(header: Header, why: str) -> InvalidValueError:
    """The refusal of a file that begins like a picture and is none to the end."""
    detail = f"the {header.format} cannot be decoded: {why}"
    return InvalidValueError(detail, pointer="/image", hint=why)
