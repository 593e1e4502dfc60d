"""`ganymede jobs …`: look at jobs, wait for one, cancel it."""

from typing import Annotated

import typer

from service.cli.remote import DEFAULT_URL, AsJson, Url, client, show

group = typer.Typer(no_args_is_help=True, help="Jobs: list, show, cancel.")
JobId = Annotated[str, typer.Argument(help="The job's id.")]


@group.command("list")
def list_jobs(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Newest first."""
    with client(url) as ganymede:
        found = ganymede.jobs()
        rows = [f"{job['id']}  {job['state']:10} {job['op']}" for job in found["data"]]
        show(found, as_json, "\n".join(rows) or "no jobs")


@group.command("show")
def show_job(job_id: JobId, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """One job in full."""
    with client(url) as ganymede:
        record = ganymede.job(job_id).record
        show(record, as_json, "\n".join(f"{key:15} {value}" for key, value in record.items()))


@group.command("cancel")
def cancel(job_id: JobId, url: Url = DEFAULT_URL) -> None:
    """Stop a job, queued or running."""
    with client(url) as ganymede:
        typer.echo(ganymede.job(job_id).cancel()["state"])


def register(app: typer.Typer) -> None:
    """Add the group of this file."""
    app.add_typer(group, name="jobs")
