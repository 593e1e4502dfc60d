"""The recipe inside a picture of ours, read back. The file is untrusted: only its text is looked at, never pixels."""

import save_files
from save_files import DamagedRecipeError, Recipe
from service.errors import InvalidValueError, UnsupportedPictureError
from service.images.uploads import read_header

POINTER = "/from/image"


def read_recipe(data: bytes, pointer: str = POINTER) -> Recipe:
    """The recipe of a PNG, WebP, JPEG or GIF as an object; what it claims is still to be checked.

    Raises UnsupportedPictureError for what is no picture and InvalidValueError for one without a readable recipe.
    """
    try:
        recipe = save_files.read_recipe(data)
    except DamagedRecipeError as error:
        raise InvalidValueError(str(error), pointer=pointer) from None
    if recipe is None:
        header = read_header(data)
        if header is None or header.width is None:
            raise UnsupportedPictureError("this is not a readable PNG, WebP, JPEG or GIF")
        sentence = "this picture carries no recipe: it is not one of ours, or its metadata was stripped"
        raise InvalidValueError(sentence, pointer=pointer)
    return recipe
