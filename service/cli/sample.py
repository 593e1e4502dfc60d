"""`ganymede sample`: pictures from seeds or saved latents; any number of them, in parts that can be resumed."""

import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli import sample_set
from service.cli.application import app
from service.cli.output import fail, note
from service.cli.pictures import Format, deliver
from service.cli.remote import Jobs, Metadata, Model, Out, Url, client
from service.cli.sources import recipe_of_file

Seed = Annotated[int | None, typer.Option("--seed", "-s", help="First seed; drawn at random and reported when absent.")]
AT_ONCE = 64
"""Pictures that one request brings; more are made in parts."""


@app.command()
def sample(
    model: Model = None,
    n: Annotated[int, typer.Option("-n", min=1, help="How many pictures; any number.")] = 1,
    seed: Seed = None,
    label: Annotated[str | None, typer.Option(help="Class name or number.")] = None,
    truncation: Annotated[float | None, typer.Option(help="Below 1: fainter pictures, more alike.")] = None,
    scale: Annotated[int | None, typer.Option(help="Every pixel as a square of so many.")] = None,
    precision: Annotated[str | None, typer.Option(help="exact | fast: the fastest runtime of the server.")] = None,
    latent: Annotated[list[str] | None, typer.Option(help="A saved latent; may be given again.")] = None,
    source: Annotated[Path | None, typer.Option("--from", help="A save file: make it again (see redo).")] = None,
    save_as: Annotated[str | None, typer.Option(help="Keep the latent under this name.")] = None,
    output_format: Format = None,
    metadata: Metadata = None,
    out: Out = None,
    jobs: Jobs = 2,
    url: Url = None,
) -> None:
    """Make pictures. Example: ganymede sample -m faces64 -n 16 --seed 7 -o faces.png

    With -o set.zip, set.npz or a folder any number: -n 50000 is made in parts, and the same command goes on after an interrupt.
    """
    request: dict[str, Any] = {"model": model, "label": label, "truncation": truncation, "scale": scale}
    request |= {"output_format": output_format, "metadata": metadata}
    request |= {} if precision is None else {"precision": precision}  # a set that was begun before it existed goes on
    with client(url) as ganymede:
        if source is not None:
            deliver(ganymede.redo(recipe_of_file(source), metadata=metadata), out, "sample")  # type: ignore[arg-type]
        elif latent or save_as or (n <= AT_ONCE and not sample_set.is_archive(out)):
            count = None if latent else n
            made = ganymede.sample(**request, n=count, seed=seed, latents=latent or None, save_as=save_as)
            deliver(made, out, "sample")
        elif out is not None and (sample_set.is_archive(out) or not out.suffix or out.is_dir()):
            sample_set.make(ganymede, request, n, seed, out, jobs)
        elif n > sample_set.LARGEST_SHEET:
            fail(f"{n} pictures do not fit one sheet; use -o FOLDER, -o set.zip or -o set.npz", code=2)
        else:
            first = secrets.randbelow(2**32) if seed is None else seed
            note(f"one sheet of {n} pictures")
            deliver(sample_set.gathered(ganymede, request, n, first), out, "sample")
