"""`ganymede info PICTURE` and `ganymede models`: what a picture or a server says of itself."""

import io
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image, UnidentifiedImageError
from typer.core import TyperGroup

from service.cli.remote import DEFAULT_URL, AsJson, Url, client, read, show
from service.cli.serve import fail
from service.images.recipe import CHUNK


def recipe_of_file(path: Path) -> dict[str, Any]:
    """The recipe inside a Ganymede PNG. Ends the command with a sentence when there is none."""
    try:
        picture = Image.open(io.BytesIO(read(path)))
        text = getattr(picture, "text", {}).get(CHUNK)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        fail(f"{path} is no picture")
    if text is None:
        fail(f"{path} carries no Ganymede recipe; its metadata was stripped, or it was made elsewhere")
    try:
        recipe = json.loads(text)
    except ValueError:
        fail(f"{path} carries a damaged recipe")
    return recipe if isinstance(recipe, dict) else {}


class ListsByDefault(TyperGroup):
    """A group whose first word may be left out: `models faces64` is `models list faces64`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See click."""
        named = bool(args) and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if named else ["list", *args])


group = typer.Typer(cls=ListsByDefault, help="The bundles a server has, and how bundles are stored.")


def info(
    picture: Annotated[Path, typer.Argument(help="A PNG made by Ganymede.")],
    as_json: AsJson = False,
) -> None:
    """Print a picture's recipe. Make it again with: ganymede sample --from PICTURE"""
    recipe = recipe_of_file(picture)
    lines = [f"{key:12} {_short(value)}" for key, value in recipe.items()]
    show(recipe, as_json, "\n".join(lines))


def models(
    name: Annotated[str | None, typer.Argument(help="One bundle in full.")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List the bundles a server has, or show one. Example: ganymede models faces64"""
    with client(url) as ganymede:
        if name is not None:
            page = ganymede.model(name)
            show(page, as_json, page.get("card") or json.dumps(page["manifest"], indent=2))
            return
        found = ganymede.models()
        rows = [
            f"{m['name']:20} {m['image']['width']}x{m['image']['height']}  {m['description']}" for m in found["data"]
        ]
        rows += [f"{bad['folder']:20} refused: {bad['reason']}" for bad in found.get("refused", [])]
        show(found, as_json, "\n".join(rows) or "no bundle is served")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(info)
    group.command("list")(models)
    app.add_typer(group, name="models")
