"""`ganymede jobs …`, `ganymede keys …`: what an operator does. Parse, delegate, exit."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from service.auth.keys import SCOPES, ApiKey, KeyFileError, new_key, read_keys
from service.cli.application import app
from service.cli.jobs import group
from service.cli.output import fail, show
from service.cli.serve import load_settings
from service.errors import ServiceError
from service.jobs.job import Job
from service.jobs.queue import JobQueue
from service.operations.state import open_redis, queue_settings
from service.redis.keys import RedisKeys

T = TypeVar("T")
keys = typer.Typer(no_args_is_help=True, help="API keys: make one, list them.")
app.add_typer(keys, name="keys")


@group.command("dead")
def dead(limit: Annotated[int, typer.Option(help="At most so many.")] = 100) -> None:
    """Jobs that used up their attempts, latest first, with the reason. Example: ganymede jobs dead --json"""
    found = _on_queue(lambda queue: queue.dead(limit))
    rows = [f"{job.id}  {job.op:12} {job.attempts} attempts  {_time(job)}  {_reason(job)}" for job in found]
    show([_described(job) for job in found], "\n".join(rows) or "no dead jobs")


@group.command("requeue")
def requeue(job_id: Annotated[str, typer.Argument(help="Id of a dead job, or `all`.")]) -> None:
    """Give a dead job its attempts back. Example: ganymede jobs requeue all"""

    async def again(queue: JobQueue) -> list[str]:
        ids = [job.id for job in await queue.dead(10_000)] if job_id == "all" else [job_id]
        for one in ids:
            await queue.requeue(one)
        return ids

    requeued = _on_queue(again)
    show({"requeued": requeued}, f"requeued {len(requeued)} jobs")


@group.command("stats")
def stats() -> None:
    """How much waits, runs and has ended, and how fast it goes. Example: ganymede jobs stats"""

    async def read(queue: JobQueue) -> dict[str, float]:
        load = await queue.load()
        return {**load.counts(), "workers": load.workers, "pictures/s while busy": round(load.pictures_per_s, 1)}

    figures = _on_queue(read)
    show(figures, "\n".join(f"{name}: {count:g}" for name, count in figures.items()))


@keys.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="Who will use it.")],
    file: Annotated[Path, typer.Option(help="Key file; made when it is not there.")],
    scope: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(SCOPES)}; may be given again.")] = None,
    per_minute: Annotated[int, typer.Option(min=1, help="Requests a minute.")] = 600,
) -> None:
    """Make a key, show it once, and add its hash to the file. A running server takes it up within a second.

    Example: ganymede keys add ada --file keys.toml --scope sample
    """
    scopes = scope or ["sample"]
    taken = {key.name for key in _read(file)} if file.exists() else set()
    if name in taken or set(scopes) - set(SCOPES) or '"' in name:
        fail(f"the name must be new and scopes one of {', '.join(SCOPES)}")
    token, table = new_key(name, scopes, per_minute)
    with open(file, "a", encoding="utf-8", opener=_private) as target:
        target.write(table + "\n")
    show({"name": name, "key": token, "file": str(file)}, token)


@keys.command("list")
def list_keys(file: Annotated[Path, typer.Option(help="Key file.")]) -> None:
    """Names, scopes and limits; the keys themselves are stored nowhere. Example: ganymede keys list --file keys.toml"""
    found = _read(file)
    rows = [{"name": key.name, "scopes": sorted(key.scopes), "per_minute": key.per_minute} for key in found]
    lines = [f"{key.name}\t{','.join(sorted(key.scopes))}\t{key.per_minute}/min" for key in found]
    show(rows, "\n".join(lines))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _read(file: Path) -> tuple[ApiKey, ...]:
    try:
        return read_keys(file)
    except KeyFileError as error:
        fail(str(error))


def _on_queue(do: Callable[[JobQueue], Awaitable[T]]) -> T:
    """Run something on the queue of the settings' Redis. With the embedded one, `--data-dir` decides (environment)."""

    async def main() -> T:
        settings = load_settings()
        redis, close = await open_redis(settings)
        queue = JobQueue(redis, RedisKeys("{" + settings.redis_namespace + "}"), queue_settings(settings))
        try:
            return await do(queue)
        finally:
            await queue.close()
            await close()

    try:
        return asyncio.run(main())
    except ServiceError as error:
        fail(error.detail)


def _described(job: Job) -> dict[str, object]:
    return {"id": job.id, "op": job.op, "attempts": job.attempts, "ended_at": job.ended_at, "error": job.error}


def _reason(job: Job) -> str:
    return str((job.error or {}).get("detail", ""))


def _time(job: Job) -> str:
    return datetime.fromtimestamp(job.ended_at or 0, UTC).strftime("%Y-%m-%d %H:%M:%S")
