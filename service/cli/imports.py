"""`ganymede import FILE`: a foreign generator made into a bundle; and the files that `ganymede serve FILE` serves at once."""

from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from models.bundle import MANIFEST_NAME, Bundle
from models.errors import ModelsError
from models.imports.child import ImportFailedError, import_cached, run_import
from models.imports.options import Options
from models.imports.report import Row

WEIGHTS = (".onnx", ".pt", ".pth", ".ts", ".ckpt", ".bin", ".safetensors")


def import_(
    file: Annotated[
        Path, typer.Argument(help="ONNX, TorchScript, PyTorch checkpoint, safetensors, or a folder of one.")
    ],
    out: Annotated[Path, typer.Option(help="Folder the bundle is written into.")] = Path("bundles"),
    name: Annotated[str | None, typer.Option(help="Name of the bundle (the file's).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what was understood and write nothing.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a bundle of that name.")] = False,
    kind: Annotated[
        str | None, typer.Option(help="generate (latents to pictures) or upsample (picture to picture).")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Height x width, such as 64 or 64x96.")] = None,
    latent: Annotated[int | None, typer.Option(help="Numbers in a latent.")] = None,
    law: Annotated[str | None, typer.Option(help="standard_normal or uniform.")] = None,
    labels: Annotated[str | None, typer.Option(help="File with a class name a line, or names with commas.")] = None,
    range_: Annotated[str | None, typer.Option("--range", help="Values of black and white, such as 0,1.")] = None,
    layout: Annotated[str | None, typer.Option(help="nchw or nhwc.")] = None,
    input_: Annotated[
        list[str] | None, typer.Option("--input", help="NAME=latent|one-hot|index|VALUE; again for more.")
    ] = None,
    output: Annotated[str | None, typer.Option(help="Name of the output that is the picture.")] = None,
    activation: Annotated[str | None, typer.Option(help="Between layers of a checkpoint: relu, leaky:0.2, …")] = None,
    last: Annotated[str | None, typer.Option(help="After the last layer of a checkpoint: tanh, sigmoid, none.")] = None,
    eps: Annotated[float | None, typer.Option(help="BatchNorm's epsilon in a checkpoint.")] = None,
    class_: Annotated[str | None, typer.Option("--class", help="module:Class that builds it; runs your code.")] = None,
    init: Annotated[list[str] | None, typer.Option(help="Argument of that class, NAME=VALUE; again for more.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the weights.")] = None,
    dataset: Annotated[str | None, typer.Option(help="What it was trained on.")] = None,
    dataset_licence: Annotated[str | None, typer.Option(help="Licence of that data.")] = None,
    description: Annotated[str | None, typer.Option(help="One sentence for people.")] = None,
) -> None:
    """Make a bundle of a trained generator. Example: ganymede import netG_epoch_24.pth --name faces --out bundles"""
    said: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "size": size,
        "latent": latent,
        "law": law,
        "labels": labels,
        "range": range_,
    }
    said |= {"layout": layout, "output": output, "activation": activation, "last": last, "eps": eps, "class_": class_}
    said |= {"licence": licence, "dataset": dataset, "dataset_licence": dataset_licence, "description": description}
    said |= {"input": _pairs(input_), "init": _pairs(init)}
    options = options_of({key: value for key, value in said.items() if value is not None})
    target = out / (options.name or file.stem)
    if not (dry_run or replace) and target.exists():
        _fail(f"{target} is there already; say --replace or another --name")
    _import(file, None if dry_run else out, options)


def _import(file: Path, out: Path | None, options: Options) -> None:
    try:
        with Console(stderr=True).status(f"importing {file.name}"):  # on a terminal only
            done = run_import(file, out, options)
    except ImportFailedError as error:
        _print(error.rows)
        _fail(str(error))
    except ModelsError as error:
        _fail(str(error))
    _print(done.rows)
    if done.bundle is not None:
        typer.echo(f"{done.bundle.reference} is in {done.bundle.folder}; serve it with: ganymede serve --bundles {out}")


def _print(rows: tuple[Row, ...]) -> None:
    if not rows:
        return
    table = Table("what", "value", "how it is known")
    for row in rows:
        table.add_row(escape(row.what), escape(row.value), row.how)
    Console().print(table)


def options_of(said: dict[str, Any]) -> Options:
    """Options from texts; ends the command with a sentence when one is wrong."""
    try:
        return Options.model_validate(said)
    except (ValidationError, OSError) as error:
        if not isinstance(error, ValidationError):
            _fail(str(error), code=2)
        first = error.errors()[0]
        _fail(f"{'.'.join(str(part) for part in first['loc']).rstrip('_')}: {first['msg']}", code=2)


def _pairs(words: list[str] | None) -> dict[str, str] | None:
    if not words:
        return None
    for word in words:
        if "=" not in word:
            _fail(f"{word!r} must be NAME=VALUE", code=2)
    return dict(word.split("=", 1) for word in words)


def served_folders(files: list[Path], said: list[str] | None, cache: Path) -> list[Path]:
    """Folders of bundles for files and folders to serve: bundles as they are, everything else imported into the cache.

    Ends the command with a sentence for a file that is refused.
    """
    options = options_of(_pairs(said) or {})
    folders: list[Path] = []
    names: set[str] = set()
    for path in files:
        if _holds_bundles(path):
            folders.append(path)
            continue
        for one in _sources(path):
            bundle = _cached(one, cache, options, names)
            names.add(bundle.name)
            folders.append(bundle.folder)
    return folders


def _cached(path: Path, cache: Path, options: Options, names: set[str]) -> Bundle:
    try:
        typer.echo(f"importing {path.name} …", err=True)
        bundle = import_cached(path, cache, options)
        if bundle.name in names:
            free = next(f"{bundle.name[:60]}-{k}" for k in range(2, 1000) if f"{bundle.name[:60]}-{k}" not in names)
            bundle = import_cached(path, cache, options.model_copy(update={"name": free}))
        typer.echo(f"serving {bundle.reference}, imported from {path.name}", err=True)
        return bundle
    except ImportFailedError as error:
        _print(error.rows)
        _fail(f"{path.name}: {error}")
    except ModelsError as error:
        _fail(str(error))


def _holds_bundles(path: Path) -> bool:
    """A bundle, or a folder with bundles in it."""
    return path.is_dir() and ((path / MANIFEST_NAME).is_file() or any(path.glob(f"*/{MANIFEST_NAME}")))


def _sources(path: Path) -> list[Path]:
    """What to import: the file; a folder with a config.json as one; else every file of weights in a folder."""
    if not path.is_dir() or (path / "config.json").is_file():
        return [path]
    found = [file for file in sorted(path.iterdir()) if file.suffix in WEIGHTS and file.is_file()]
    if not found:
        _fail(f"{path} holds neither bundles nor files of weights ({', '.join(WEIGHTS)})")
    return found


def _fail(sentence: str, code: int = 1) -> NoReturn:
    typer.secho(f"ganymede: {sentence}", err=True, fg="red")
    raise typer.Exit(code)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("import")(import_)
