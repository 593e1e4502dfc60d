"""The save file: the recipe inside every picture that leaves, written and read the same way by server, command line and client.

Standard library only, so that the client stays light. What survives which re-save is measured in docs/save-files.md.
"""

from save_files.errors import DamagedRecipeError
from save_files.read import read_recipe, read_recipes
from save_files.recipe import LARGEST_RECIPE, Metadata, Recipe, as_json, combined, expanded, parameters_line
from save_files.write import SOURCE_TYPE, XMP, comment, exif, in_gif, in_jpeg, xmp

__all__ = [
    "LARGEST_RECIPE",
    "SOURCE_TYPE",
    "XMP",
    "DamagedRecipeError",
    "Metadata",
    "Recipe",
    "as_json",
    "combined",
    "comment",
    "exif",
    "expanded",
    "in_gif",
    "in_jpeg",
    "parameters_line",
    "read_recipe",
    "read_recipes",
    "xmp",
]
