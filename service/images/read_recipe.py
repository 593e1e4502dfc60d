"""The recipe inside a PNG of ours, read back. The file is untrusted: only its text chunks are looked at, never pixels."""

import io
import json
import warnings
from typing import Any

from PIL import Image, PngImagePlugin

from service.errors import InvalidValueError, UnsupportedPictureError
from service.images.recipe import CHUNK, MAX_CHUNK_BYTES

POINTER = "/from/image"


def read_recipe(data: bytes) -> dict[str, Any]:
    """The `ganymede` chunk of a PNG as an object; what it claims is still to be checked.

    Raises UnsupportedPictureError for what is no PNG and InvalidValueError for one without a readable recipe.
    """
    text = _text_of(data).get(CHUNK)
    if text is None:
        raise _refusal("this PNG carries no recipe: it is not one of ours, or its text chunks were stripped")
    if len(text) > MAX_CHUNK_BYTES:
        raise _refusal(f"the recipe is longer than {MAX_CHUNK_BYTES} characters")
    try:
        recipe = json.loads(text)
    except (ValueError, RecursionError):
        raise _refusal("the recipe in this PNG is damaged") from None
    if not isinstance(recipe, dict):
        raise _refusal("the recipe in this PNG is damaged")
    return recipe


def _text_of(data: bytes) -> dict[str, str]:
    """Text chunks before the pixels, which is where we write ours. Pillow bounds their unpacked size."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=("PNG",))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise UnsupportedPictureError("this is not a readable PNG") from None
    assert isinstance(picture, PngImagePlugin.PngImageFile)
    return {key: str(value) for key, value in picture.info.items() if isinstance(key, str) and isinstance(value, str)}


def _refusal(sentence: str) -> InvalidValueError:
    return InvalidValueError(sentence, errors=[{"pointer": POINTER, "detail": sentence}])
