"""`ganymede project`: the latents whose pictures come nearest to given ones, one or whole folders."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ganymede_client import Job, calls
from service.cli.application import app
from service.cli.classify import Fit
from service.cli.folders import plan, run
from service.cli.many import PICTURES, Item
from service.cli.output import fail
from service.cli.pictures import Format, suffix_for
from service.cli.remote import Again, Files, Jobs, Metadata, Model, Out, Recursive, Url, client

LONGEST_S = 24 * 3600.0


@app.command()
def project(
    files: Files,
    model: Model = None,
    label: Annotated[str | None, typer.Option(help="Class to look in.")] = None,
    fit: Fit = None,
    steps: Annotated[int | None, typer.Option(help="Steps of each start (200).")] = None,
    restarts: Annotated[int | None, typer.Option(help="Starting points (6).")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the starting points.")] = None,
    save_as: Annotated[str | None, typer.Option(help="Keep the latent under this name (one file only).")] = None,
    output_format: Format = None,
    metadata: Metadata = None,
    out: Out = None,
    recursive: Recursive = False,
    jobs: Jobs = 1,
    again: Again = False,
    url: Url = None,
) -> None:
    """Find the latent of a picture; its picture carries it. Example: ganymede project me.jpg -m faces64 -o found.png"""
    options: dict[str, Any] = {"model": model, "label": label, "fit": fit, "steps": steps, "restarts": restarts}
    options |= {"seed": seed, "save_as": save_as, "metadata": metadata, "output_format": output_format}
    chosen = plan(files, out, PICTURES, suffix_for(output_format), "projected", recursive=recursive)
    if save_as is not None and len(chosen.items) > 1:
        fail("--save-as takes one file", code=2)
    with client(url, retries=30) as ganymede:

        def make(item: Item, target: Path) -> tuple[bytes, dict[str, Any]]:
            call = calls.queued(calls.picture("/project", item.data(), options))
            made = Job(ganymede, ganymede.run(call, patient=True)).wait(LONGEST_S)  # a job has no deadline
            return made[0].encoded(target.suffix), {
                "model": made.model,
                "distance": made.envelope.get("distance"),
            }

        run(chosen, make, what="project", jobs=jobs, again=again)
