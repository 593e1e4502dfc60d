"""Pictures into another format, and several on one sheet, with their recipes. Needs Pillow, which is loaded when used."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import save_files
from save_files import Recipe

if TYPE_CHECKING:
    import PIL.Image

FORMATS = {".png": "PNG", ".webp": "WEBP", ".jpg": "JPEG", ".jpeg": "JPEG"}
QUALITY = {"WEBP": 90, "JPEG": 92}
"""Those of the server, so that its files and ours are the same."""
GAP = 2
PAPER: dict[str, Any] = {"L": 255, "RGB": (255, 255, 255), "RGBA": (255, 255, 255, 255)}


def as_format(data: bytes, suffix: str) -> bytes:
    """A picture file as the format of a suffix, its recipe inside; unchanged where it is of that format, or suffix is "".

    Raises ValueError for another suffix.
    """
    from PIL import Image

    if suffix and suffix.lower() not in FORMATS:
        raise ValueError(f"a picture is saved as {', '.join(FORMATS)}, not {suffix}")
    kind = FORMATS.get(suffix.lower())
    image = Image.open(io.BytesIO(data))
    return data if kind in (None, image.format) else written(image, kind, save_files.read_recipe(data))


def written(image: "PIL.Image.Image", kind: str, recipe: Recipe | None) -> bytes:
    """A Pillow image as a file of format PNG, WEBP or JPEG."""
    buffer = io.BytesIO()
    if kind == "PNG":
        image.save(buffer, kind, **_png_text(recipe))
    elif kind == "WEBP":
        image.save(buffer, kind, quality=QUALITY[kind], method=2, exif=save_files.exif(recipe, "full"), **_mark(recipe))
    else:
        _flat(image).save(buffer, kind, quality=QUALITY[kind])
        return save_files.in_jpeg(buffer.getvalue(), recipe, "none" if recipe is None else "full")
    return buffer.getvalue()


def _flat(image: "PIL.Image.Image") -> "PIL.Image.Image":
    """Without transparency, which shows white paper, as the server does it."""
    from PIL import Image

    if image.mode != "RGBA":
        return image.convert("L" if image.mode == "L" else "RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, PAPER["RGBA"]), image).convert("RGB")


def sheet(files: Sequence[bytes]) -> tuple[bytes, Recipe | None]:
    """A PNG with all pictures on white paper, 2 pixels apart, as the server lays them out; and its recipe.

    It has one only where every picture's file has one: pictures asked for without metadata make a sheet without.
    """
    from PIL import Image

    images = [Image.open(io.BytesIO(data)) for data in files]
    columns = max(1, round(len(images) ** 0.5 + 0.499))
    width, height = (max(image.size[axis] for image in images) for axis in (0, 1))
    mode = max((image.mode for image in images), key=list(PAPER).index)
    rows = -(-len(images) // columns)
    size = (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP)
    paper = Image.new(mode, size, PAPER[mode])
    for k, image in enumerate(images):
        paper.paste(image.convert(mode), (k % columns * (width + GAP), k // columns * (height + GAP)))
    recipe = _together([save_files.read_recipe(data) for data in files], columns)
    return written(paper, "PNG", recipe), recipe


def _together(recipes: Sequence[Recipe | None], columns: int) -> Recipe | None:
    known = [recipe for recipe in recipes if recipe is not None]
    if len(known) < len(recipes):
        return None
    return known[0] if len(known) == 1 else save_files.combined(known, columns)


def _mark(recipe: Recipe | None) -> dict[str, Any]:
    return {} if recipe is None else {"xmp": save_files.xmp("full")}


def _png_text(recipe: Recipe | None) -> dict[str, Any]:
    from PIL.PngImagePlugin import PngInfo

    if recipe is None:
        return {}
    text = PngInfo()
    packed = save_files.as_json(recipe)
    text.add_itxt("ganymede", packed, zip=len(packed) > 1024)
    text.add_text("parameters", save_files.parameters_line(recipe))
    text.add_itxt("XML:com.adobe.xmp", save_files.XMP)
    return {"pnginfo": text}
