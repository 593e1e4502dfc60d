"""`ganymede latents …` and `ganymede directions …`: the shelf of saved latents from the command line."""

from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.output import fail
from service.cli.remote import Model, Url, client, read, show, write

shelf = typer.Typer(no_args_is_help=True, help="Keep, list, rename, export and import saved latents.")
arrows = typer.Typer(no_args_is_help=True, help="Named directions in latent space.")
LatentName = Annotated[str, typer.Argument(help="Name of the saved latent.")]


@shelf.command("list")
def list_latents(
    model: Model = None,
    tag: Annotated[str | None, typer.Option(help="Only with this tag.")] = None,
    q: Annotated[str | None, typer.Option(help="Only names that begin like this.")] = None,
    url: Url = None,
) -> None:
    """Newest first. Example: ganymede latents list --model faces64 --tag smiling"""
    with client(url) as ganymede:
        rows: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = ganymede.latents(model=model, tag=tag, q=q, cursor=cursor, limit=500)
            rows += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        show(rows, "\n".join(f"{row['name']:32} {row['model']}" for row in rows) or "nothing saved")


@shelf.command()
def save(
    name: LatentName,
    seed: Annotated[int | None, typer.Option(help="From a seed.")] = None,
    expression: Annotated[str | None, typer.Option(help="From an expression.")] = None,
    picture: Annotated[Path | None, typer.Option(help="From a save file: PNG, WebP, JPEG or GIF.")] = None,
    model: Model = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be given again.")] = None,
    url: Url = None,
) -> None:
    """Keep a latent. Example: ganymede latents save woman_1 --seed 12 -m faces64 --tag woman"""
    with client(url) as ganymede:
        saved = ganymede.save_latent(name, _source(seed, expression, picture), model=model, tags=tag or None)
        show(saved, f"saved {saved['name']} of {saved['model']}")


def _source(seed: int | None, expression: str | None, picture: Path | None) -> dict[str, Any]:
    import base64

    given: dict[str, Any] = {"seed": seed, "expression": expression}
    if picture is not None:
        given["image"] = base64.b64encode(read(picture)).decode()
    given = {key: value for key, value in given.items() if value is not None}
    if len(given) != 1:
        fail("give exactly one of --seed, --expression, --picture", code=2)
    return given


@shelf.command()
def rename(
    name: LatentName,
    new_name: Annotated[str, typer.Argument(help="New name.")],
    url: Url = None,
) -> None:
    """Rename in one step; a taken name is refused. Example: ganymede latents rename woman_1 ann"""
    with client(url) as ganymede:
        show(ganymede.change_latent(name, new_name=new_name), f"{name} is now called {new_name}")


@shelf.command()
def delete(name: LatentName, url: Url = None) -> None:
    """Remove a saved latent. Example: ganymede latents delete woman_1"""
    with client(url) as ganymede:
        ganymede.delete_latent(name)
        show({"removed": name}, f"removed {name}")


@shelf.command("export")
def export_latents(
    out: Annotated[Path, typer.Argument(help="File to write.")],
    model: Model = None,
    url: Url = None,
) -> None:
    """Everything saved as one file, a backup that any Redis can take back. Example: ganymede latents export all.ndjson"""
    with client(url) as ganymede:
        write(out, ganymede.export_latents(model=model))
        show({"file": str(out)}, str(out))


@shelf.command("import")
def import_latents(
    file: Annotated[Path, typer.Argument(help="What `export` wrote.")],
    conflict: Annotated[str, typer.Option(help="refuse | skip | rename | replace")] = "refuse",
    url: Url = None,
) -> None:
    """Take an exported file back. Example: ganymede latents import all.ndjson --conflict skip"""
    with client(url) as ganymede:
        found = ganymede.import_latents(read(file), conflict)
        show(found, ", ".join(f"{key} {value}" for key, value in found.items()))


@arrows.command("list")
def list_directions(model: Model = None, url: Url = None) -> None:
    """Shipped and saved directions of a bundle. Example: ganymede directions list -m faces64"""
    with client(url) as ganymede:
        found = ganymede.directions(model=model)
        show(found, "\n".join(row["name"] for row in found["data"]) or "none")


def register(app: typer.Typer) -> None:
    """Add the groups of this file."""
    app.add_typer(shelf, name="latents")
    app.add_typer(arrows, name="directions")
