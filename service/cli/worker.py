"""`ganymede worker`: an engine and a job runner; over HTTP only health and metrics. It shares the API's Redis."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.application import app
from service.cli.output import fail
from service.cli.serve import load_settings, run

PORT = 8001  # beside an API on the same machine


@app.command()
def worker(
    host: Annotated[str | None, typer.Option(help="Address of /livez, /readyz and /metrics (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help=f"Port of them ({PORT}); 0 takes a free one.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the server whose Redis it shares.")] = None,
    bundles: Annotated[list[Path] | None, typer.Option(help="Folder of bundles; may be given again.")] = None,
) -> None:
    """Compute for API processes that share a Redis. Example: GANYMEDE_REDIS_URL=redis://host ganymede worker"""
    settings = load_settings(
        role="worker", host=host, port=port, data_dir=data_dir, bundles=tuple(bundles) if bundles else None
    )
    if "port" not in settings.model_fields_set:
        settings = settings.model_copy(update={"port": PORT})
    if settings.redis_url is None and not (settings.data_dir / "redis.sock").exists():
        fail("a worker needs GANYMEDE_REDIS_URL, or the data folder of a running server")
    run(settings)
