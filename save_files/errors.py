"""What can be wrong with a save file."""


class DamagedRecipeError(ValueError):
    """There is a recipe, and it cannot be read."""
