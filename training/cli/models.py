"""`ganymede models compact` and `ganymede models torchscript`: how a finished bundle is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from models.bundle import MANIFEST_NAME, Bundle, read_bundle
from training.cli.console import answer, explained
from training.export.compact import Compacted, compact
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
    with explained("writing bundles again and comparing them"):
        done = [compact(folder, precision_of(weights)) for folder in folders]
        answer([_facts(one) for one in done], *map(_line, done))


@models_app.command("torchscript")
def torchscript_command(
    bundle: Folder,
    out: Annotated[Path | None, typer.Option(help="Folder for the files (NAME-torchscript).")] = None,
) -> None:
    """Write a bundle's graphs as TorchScript, checked. Example: ganymede models torchscript faces64 --out scripts"""
    with explained("writing TorchScript and comparing it"):
        found = _open(bundle)
        folder = out or Path(f"{found.name}-torchscript")
        checks = write_torchscript(found, folder)
        lines = [f"{folder / c.file}: differs from ONNX Runtime by at most {c.max_abs_difference:.1e}" for c in checks]
        answer({"folder": str(folder), "checks": [check.model_dump() for check in checks]}, *lines)


def _facts(done: Compacted) -> dict[str, Any]:
    sizes = {"bytes_before": done.bytes_before, "bytes_after": done.bytes_after}
    return {"bundle": done.bundle.reference, **sizes, "pixel_steps": done.pixel_steps, "logits": done.logits}


def _line(done: Compacted) -> str:
    return (
        f"{done.bundle.reference}: {done.bytes_before / MB:.1f} MB are {done.bytes_after / MB:.1f} MB; over 64 seeds no "
        f"pixel differs by more than {done.pixel_steps} of 255, logits by {done.logits:.1e}"
    )


def _open(name: str) -> Bundle:
    here = Path(name)
    return read_bundle(here if (here / MANIFEST_NAME).is_file() else SHIPPED / name)
