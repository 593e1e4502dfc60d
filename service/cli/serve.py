"""`ganymede serve`, and settings for every command that needs them."""

import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from models.errors import ModelsError
from models.imports.options import Options
from service.cli.application import app
from service.cli.import_options import with_import_options
from service.cli.output import fail, is_quiet, note, show
from service.engine.catalogue import Opening
from service.http.server import RefusedToStartError
from service.http.server import serve as run_server
from service.observability.logs import configure
from service.settings import Settings


@app.command()
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
    chosen: dict[str, Any] = {"host": host, "port": port, "role": role, "data_dir": data_dir, "processes": processes}
    chosen |= {"bundles": tuple(bundles) if bundles else None, "insecure": insecure or None}
    settings = load_settings(**chosen)
    if files:
        # here, as rich and the importers take 30 ms that most starts need not wait
        from service.cli.imports import served_sources

        sources = served_sources(files, options, settings.data_dir / "imports")
        settings = load_settings(**chosen | {"bundles": (*sources, *(bundles or ()))})
    if dry_run:
        show(settings.model_dump(mode="json"), settings.model_dump_json(indent=2))
        return
    if not settings.measurements_file.exists():
        note("first start: bundles are opened and measured, later starts are faster")
    run(settings)


def run(settings: Settings) -> None:
    """Serve, and say where; the log goes to stderr, only its warnings when quiet. Ends the command with a sentence."""
    configure(settings.log_format, logging.WARNING if is_quiet() else logging.INFO)
    try:
        run_server(settings, lambda url: show({"url": url}, f"Ganymede is ready on {url}"), _opening())
    except (RefusedToStartError, ModelsError) as error:
        fail(str(error))


def _opening() -> Opening | None:
    """A bar on a terminal; in a pipe the log has a line for each bundle, and a start needs no library for bars."""
    if is_quiet() or not sys.stderr.isatty():
        return None
    from service.cli.bars import follow

    return follow("opening bundles", "bundles")


def load_settings(**options: Any) -> Settings:
    """Settings from the options that were given (not None), the environment and the TOML file.

    Exit 2 with a sentence when one is wrong.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"])
        fail(f"setting {name}: {first['msg']}", code=2)
