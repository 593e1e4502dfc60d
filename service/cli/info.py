"""`ganymede info FILE…` and `ganymede models`: what save files or a server say of themselves."""

import json
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from save_files import DamagedRecipeError, Recipe, parameters_line, read_recipes
from service.cli.application import app
from service.cli.many import SAVE_FILES, Item, UnreadableError, conclude, find, run_many
from service.cli.output import show
from service.cli.remote import Files, Recursive, Url, client
from service.cli.sources import NO_RECIPE


@app.command()
def info(files: Files, recursive: Recursive = False) -> None:
    """Print the recipes of save files (PNG, WebP, JPEG, GIF, npz, zip). Example: ganymede info faces.png

    Several files or a folder: a line each. Make them again with: ganymede redo FILE
    """
    items = find(files, SAVE_FILES, recursive=recursive)
    outcome = run_many(items, _recipes, what="info", jobs=4)
    rows = [(item, row) for k, item in enumerate(items) if k in outcome.results for row in outcome.results[k]]
    if len(items) == len(rows) == 1 and not files[0].is_dir():
        show(rows[0][1][1], _in_full(rows[0][1][1]))
    else:
        named = [{"file": _name(item, member), "recipe": recipe} for item, (member, recipe) in rows]
        lines = [f"{_name(item, member)}: {parameters_line(recipe)}" for item, (member, recipe) in rows]
        show(named, "\n".join(lines))
    conclude(items, outcome)


def _recipes(item: Item) -> list[tuple[str, Recipe]]:
    try:
        found = read_recipes(item.data())
    except DamagedRecipeError as error:
        raise UnreadableError(str(error)) from None
    known = [(member, recipe) for member, recipe in found if recipe is not None]
    if not known:
        raise UnreadableError(NO_RECIPE)
    return known


def _name(item: Item, member: str) -> str:
    return f"{item.source}/{member}" if member else str(item.source)


def _in_full(recipe: Recipe) -> str:
    return "\n".join(f"{key:12} {_short(value)}" for key, value in recipe.items())


class ListsByDefault(TyperGroup):
    """A group whose first word may be left out: `models faces64` is `models list faces64`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See click."""
        named = bool(args) and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if named else ["list", *args])


group = typer.Typer(cls=ListsByDefault, help="The bundles a server has, and how bundles are stored.")
app.add_typer(group, name="models")


@group.command("list")
def models(
    name: Annotated[str | None, typer.Argument(help="One bundle in full.")] = None,
    url: Url = None,
) -> None:
    """List the bundles a server has, or show one. Example: ganymede models faces64"""
    with client(url) as ganymede:
        if name is not None:
            page = ganymede.model(name)
            show(page, page.get("card") or json.dumps(page["manifest"], indent=2))
            return
        found = ganymede.models()
        rows = [
            f"{m['name']:20} {m['image']['width']}x{m['image']['height']}  {m['description']}" for m in found["data"]
        ]
        rows += [f"{bad['folder']:20} refused: {bad['reason']}" for bad in found.get("refused", [])]
        show(found, "\n".join(rows) or "no bundle is served")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"
