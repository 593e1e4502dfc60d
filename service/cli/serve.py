"""`ganymede serve`, and what every command shares: settings, one-sentence failures."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from models.errors import ModelsError
from models.imports.options import Options
from service.cli.import_options import fail, with_import_options
from service.cli.imports import served_sources
from service.http.server import RefusedToStartError
from service.http.server import serve as run_server
from service.observability.logs import configure
from service.settings import Settings


@with_import_options
def serve(
    files: Annotated[
        list[str] | None,
        typer.Argument(help="What to serve: ONNX, TorchScript, checkpoints; bundles, folders, zips or URLs of them."),
    ] = None,
    *,
    options: Options,
    host: Annotated[str | None, typer.Option(help="Address to listen on (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port (8000); 0 takes a free one.")] = None,
    role: Annotated[str | None, typer.Option(help="all | api | worker")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder for everything the server writes.")] = None,
    bundles: Annotated[
        list[str] | None, typer.Option(help="Folder, zip or URL of bundles; may be given again.")
    ] = None,
    processes: Annotated[int | None, typer.Option(help="Full processes behind the port; 0: one a core.")] = None,
    insecure: Annotated[bool, typer.Option(help="Public address without API keys.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Print the resolved settings and stop.")] = False,
) -> None:
    """Serve generators over HTTP. Example: ganymede serve netG.pth        or: ganymede serve --bundles ./my-bundles

    Options from --name on are about the files, as in `ganymede import`.
    """
    given = {"host": host, "port": port, "role": role, "data_dir": data_dir, "processes": processes}
    chosen: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    chosen |= {"bundles": tuple(bundles)} if bundles else {}
    chosen |= {"insecure": True} if insecure else {}
    settings = load_settings(**chosen)
    if files:
        sources = served_sources(files, options, settings.data_dir / "imports")
        settings = load_settings(**chosen | {"bundles": (*sources, *(bundles or ()))})
    if dry_run:
        typer.echo(settings.model_dump_json(indent=2))
        return
    configure(settings.log_format)
    if not settings.measurements_file.exists() and not os.environ.get("GANYMEDE_QUIET"):
        typer.echo("first start: bundles are opened and measured, later starts are faster", err=True)
    try:
        run_server(settings)
    except (RefusedToStartError, ModelsError) as error:
        fail(str(error))


def load_settings(**options: Any) -> Settings:
    """Settings from the command line, the environment and the TOML file; exit 2 with a sentence when one is wrong."""
    try:
        return Settings(**options)
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"])
        fail(f"setting {name}: {first['msg']}", code=2)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(serve)


__all__ = ["fail", "load_settings", "register", "serve"]
