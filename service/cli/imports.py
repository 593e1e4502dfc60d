"""`ganymede import FILE`: a foreign generator made into a bundle; and the files that `ganymede serve FILE` serves at once."""

import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from models.bundle import MANIFEST_NAME
from models.errors import ModelsError
from models.imports.child import ImportFailedError, bundle_name, import_cached, run_import
from models.imports.options import Options
from models.imports.report import Row
from models.sources.remote import is_url, shown
from service.cli.application import app
from service.cli.bars import working
from service.cli.import_options import with_import_options
from service.cli.output import fail, note, show

WEIGHTS = (".onnx", ".pt", ".pth", ".ts", ".ckpt", ".tar", ".bin", ".safetensors")


@app.command("import")
@with_import_options
def import_(
    file: Annotated[
        Path, typer.Argument(help="ONNX, TorchScript, PyTorch checkpoint, safetensors, or a folder of one.")
    ],
    options: Options,
    out: Annotated[Path, typer.Option(help="Folder the bundle is written into.")] = Path("bundles"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what was understood and write nothing.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a bundle of that name.")] = False,
) -> None:
    """Make a bundle of a trained generator. Example: ganymede import netG_epoch_24.pth --name faces --out bundles"""
    target = out / (options.name or bundle_name(file))
    if not (dry_run or replace) and target.exists():
        fail(f"{target} is there already; say --replace or another --name")
    _import(file, None if dry_run else out, options)


def _import(file: Path, out: Path | None, options: Options) -> None:
    try:
        with working(f"importing {file.name}"):
            done = run_import(file, out, options)
    except ImportFailedError as error:
        _understood(error.rows)
        fail(str(error))
    except ModelsError as error:
        fail(str(error))
    made = done.bundle
    facts: dict[str, Any] = {"understood": [asdict(row) for row in done.rows]}
    facts |= {} if made is None else {"bundle": made.reference, "folder": str(made.folder)}
    lines = _table(done.rows)
    if made is not None:
        lines += [f"{made.reference} is in {made.folder}; serve it with: ganymede serve --bundles {out}"]
    show(facts, "\n".join(lines))


def _table(rows: tuple[Row, ...]) -> list[str]:
    """A line a fact: what, value, how it is known."""
    what = max((len(row.what) for row in rows), default=0)
    return [f"{row.what:{what}}  {row.value}  ({row.how})" for row in rows]


def _understood(rows: tuple[Row, ...]) -> None:
    """Of a refused file: what was known until then, on stderr."""
    for line in _table(rows):
        note(line)


def served_sources(files: list[str], options: Options, cache: Path) -> list[str]:
    """What to serve for files, folders and URLs: where bundles are as they are, everything else imported into the cache.

    Ends the command with a sentence for a file that is refused.
    """
    found = [source for file in files for source in ([file] if _holds_bundles(file) else _sources(file))]
    if options.name is not None and sum(isinstance(source, Path) for source in found) > 1:
        fail("--name is for one file; several are named after themselves", code=2)
    names: set[str] = set()
    return [_cached(one, cache, options, names) if isinstance(one, Path) else one for one in found]


def _cached(path: Path, cache: Path, options: Options, names: set[str]) -> str:
    """The folder of a file's bundle, whose name is not among `names`, and is then."""
    try:
        with working(f"importing {path.name}"):
            bundle = import_cached(path, cache, options)
            if bundle.name in names:
                free = next(f"{bundle.name[:60]}-{k}" for k in range(2, 1000) if f"{bundle.name[:60]}-{k}" not in names)
                bundle = import_cached(path, cache, options.model_copy(update={"name": free}))
        note(f"serving {bundle.reference}, imported from {path.name}")
        names.add(bundle.name)
        return str(bundle.folder)
    except ImportFailedError as error:
        _understood(error.rows)
        fail(f"{path.name}: {error}")
    except ModelsError as error:
        fail(str(error))


def _holds_bundles(file: str) -> bool:
    """A bundle, a folder or zip with bundles in it, or a URL, which is taken for one."""
    if is_url(file):
        if file.partition("?")[0].endswith(WEIGHTS):
            fail(f"{shown(file)} is no bundle; download it, and serve the file")
        return True
    path = Path(file.partition("#")[0] if ".zip#" in file else file)
    if path.is_dir():
        return (path / MANIFEST_NAME).is_file() or any(path.glob(f"*/{MANIFEST_NAME}"))
    if path.suffix != ".zip" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.rpartition("/")[2] == MANIFEST_NAME for name in archive.namelist())


def _sources(file: str) -> list[Path]:
    """What to import: the file; a folder with a config.json as one; else every file of weights in a folder."""
    path = Path(file)
    if not path.is_dir() or (path / "config.json").is_file():
        return [path]
    found = [file for file in sorted(path.iterdir()) if file.suffix in WEIGHTS and file.is_file()]
    if not found:
        fail(f"{path} holds neither bundles nor files of weights ({', '.join(WEIGHTS)})")
    return found
