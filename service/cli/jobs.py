"""`ganymede jobs …`: look at jobs, wait for one, cancel it."""

import time
from typing import Annotated

import typer

from service.cli.application import app
from service.cli.bars import bar
from service.cli.output import show
from service.cli.pictures import deliver
from service.cli.remote import Out, Url, client

OPEN = {"queued", "running"}
group = typer.Typer(no_args_is_help=True, help="Jobs: list, show, wait for one, cancel.")
app.add_typer(group, name="jobs")
JobId = Annotated[str, typer.Argument(help="The job's id.")]


@group.command("list")
def list_jobs(url: Url = None) -> None:
    """Newest first. Example: ganymede jobs list --json"""
    with client(url) as ganymede:
        found = ganymede.jobs()
        rows = [f"{job['id']}  {job['state']:10} {job['op']}" for job in found["data"]]
        show(found, "\n".join(rows) or "no jobs")


@group.command("show")
def show_job(job_id: JobId, url: Url = None) -> None:
    """One job in full. Example: ganymede jobs show 0198f2…"""
    with client(url) as ganymede:
        record = ganymede.job(job_id).record
        show(record, "\n".join(f"{key:15} {value}" for key, value in record.items()))


@group.command("cancel")
def cancel(job_id: JobId, url: Url = None) -> None:
    """Stop a job, queued or running. Example: ganymede jobs cancel 0198f2…"""
    with client(url) as ganymede:
        record = ganymede.job(job_id).cancel()
        show(record, str(record["state"]))


@group.command("wait")
def wait(job_id: JobId, out: Out = None, url: Url = None) -> None:
    """Follow a job, its progress on stderr, and write its pictures. Example: ganymede jobs wait 0198f2… -o faces/"""
    with client(url) as ganymede:
        job = ganymede.job(job_id)
        with bar(f"job {job_id[:8]}", job.record["progress"]["total"] or None, job.record["progress"]["unit"]) as shown:
            while job.refresh()["state"] in OPEN:
                progress = job.record["progress"]
                shown.reach(int(progress["done"]), int(progress["total"]))
                time.sleep(0.3)
        deliver(job.wait(), out, f"job-{job_id[:8]}")
