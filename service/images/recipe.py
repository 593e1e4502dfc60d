"""The chunks that carry a recipe in a PNG, and the mark that says a machine made it. Other formats: `save_files`."""

from save_files import XMP, Metadata, Recipe, as_json, parameters_line
from service.images.png import itxt, text

CHUNK = "ganymede"
_XMP_CHUNK = itxt("XML:com.adobe.xmp", XMP)


def png_chunks(recipe: Recipe | None, metadata: Metadata) -> bytes:
    """iTXt `ganymede` with the recipe (full only), tEXt `parameters` for people, the IPTC digital source type.

    A picture without a recipe, such as one on the way to another, has the last alone.
    """
    if metadata == "none":
        return b""
    if recipe is None:
        return _XMP_CHUNK
    line = text("parameters", parameters_line(recipe))
    if metadata == "minimal":
        return line + _XMP_CHUNK
    data = as_json(recipe)
    return itxt(CHUNK, data, compressed=len(data) > 1024) + line + _XMP_CHUNK
