"""`ganymede models compact` and `ganymede models torchscript`: how a finished bundle is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.bundle import MANIFEST_NAME, Bundle, read_bundle
from training.cli.console import explained
from training.export.compact import compact
from training.export.sharing import precision_of
from training.export.torchscript import write_torchscript

SHIPPED = Path(__file__).parents[2] / "models" / "exports"
MB = 1e6

app = typer.Typer()
models_app = typer.Typer(no_args_is_help=True, help="How a finished bundle is stored.")
app.add_typer(models_app, name="models")

Folder = Annotated[str, typer.Argument(help="A bundle's folder, or the name of a shipped one.")]


@models_app.callback()
def root() -> None:
    """How a finished bundle is stored."""


@models_app.command("compact")
def compact_command(
    folders: Annotated[list[Path], typer.Argument(help="Folders of bundles; each is replaced.")],
    weights: Annotated[str, typer.Option(help="float32, float16-discriminator or float16.")] = "float32",
) -> None:
    """Store each weight once, without TorchScript. Example: ganymede models compact my-bundles/faces64"""
    with explained():
        for folder in folders:
            done = compact(folder, precision_of(weights))
            typer.echo(
                f"{done.bundle.reference}: {done.bytes_before / MB:.1f} MB are {done.bytes_after / MB:.1f} MB; over 64 seeds no "
                f"pixel differs by more than {done.pixel_steps} of 255, logits by {done.logits:.1e}"
            )


@models_app.command("torchscript")
def torchscript_command(
    bundle: Folder,
    out: Annotated[Path | None, typer.Option(help="Folder for the files (NAME-torchscript).")] = None,
) -> None:
    """Write a bundle's graphs as TorchScript, checked. Example: ganymede models torchscript faces64 --out scripts"""
    with explained():
        found = _open(bundle)
        folder = out or Path(f"{found.name}-torchscript")
        for check in write_torchscript(found, folder):
            typer.echo(f"{folder / check.file}: differs from ONNX Runtime by at most {check.max_abs_difference:.1e}")


def _open(name: str) -> Bundle:
    here = Path(name)
    return read_bundle(here if (here / MANIFEST_NAME).is_file() else SHIPPED / name)
