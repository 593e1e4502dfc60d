"""`ganymede latents …` and `ganymede directions …`: what is saved on a server."""

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.application import app
from service.cli.output import fail, read, show, write
from service.cli.remote import Model, Url, client

saved = typer.Typer(no_args_is_help=True, help="Keep, list, rename, export and import saved latents.")
directions = typer.Typer(no_args_is_help=True, help="Named directions in latent space.")
app.add_typer(saved, name="latents")
app.add_typer(directions, name="directions")
LatentName = Annotated[str, typer.Argument(help="Name of the saved latent.")]


@saved.command("list")
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


@saved.command()
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
        found = ganymede.save_latent(name, _source(seed, expression, picture), model=model, tags=tag or None)
        show(found, f"saved {found['name']} of {found['model']}")


def _source(seed: int | None, expression: str | None, picture: Path | None) -> dict[str, Any]:
    given: dict[str, Any] = {"seed": seed, "expression": expression}
    if picture is not None:
        given["image"] = base64.b64encode(read(picture)).decode()
    given = {key: value for key, value in given.items() if value is not None}
    if len(given) != 1:
        fail("give exactly one of --seed, --expression, --picture", code=2)
    return given


@saved.command()
def rename(
    name: LatentName,
    new_name: Annotated[str, typer.Argument(help="New name.")],
    url: Url = None,
) -> None:
    """Rename in one step; a taken name is refused. Example: ganymede latents rename woman_1 ann"""
    with client(url) as ganymede:
        show(ganymede.change_latent(name, new_name=new_name), f"{name} is now called {new_name}")


@saved.command()
def delete(name: LatentName, url: Url = None) -> None:
    """Remove a saved latent. Example: ganymede latents delete woman_1"""
    with client(url) as ganymede:
        ganymede.delete_latent(name)
        show({"removed": name}, f"removed {name}")


@saved.command("export")
def export_latents(
    out: Annotated[Path, typer.Argument(help="File to write.")],
    model: Model = None,
    url: Url = None,
) -> None:
    """Everything saved as one file, a backup that any Redis can take back. Example: ganymede latents export all.ndjson"""
    with client(url) as ganymede:
        write(out, ganymede.export_latents(model=model))
        show({"file": str(out)}, str(out))


@saved.command("import")
def import_latents(
    file: Annotated[Path, typer.Argument(help="What `export` wrote.")],
    conflict: Annotated[str, typer.Option(help="refuse | skip | rename | replace")] = "refuse",
    url: Url = None,
) -> None:
    """Take an exported file back. Example: ganymede latents import all.ndjson --conflict skip"""
    with client(url) as ganymede:
        found = ganymede.import_latents(read(file), conflict)
        show(found, ", ".join(f"{key} {value}" for key, value in found.items()))


@directions.command("list")
def list_directions(model: Model = None, url: Url = None) -> None:
    """Shipped and saved directions of a bundle. Example: ganymede directions list -m faces64"""
    with client(url) as ganymede:
        found = ganymede.directions(model=model)
        show(found, "\n".join(row["name"] for row in found["data"]) or "none")
