"""One import from file to published bundle, or to a table of what was understood."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from onnx import ModelProto

from models.bundle import Bundle, publish, sha256_of, staging_folder, write_manifest
from models.errors import ImportRefusedError
from models.imports.card import write_card
from models.imports.child import bundle_name
from models.imports.graphs.batch import free_batch
from models.imports.graphs.mend import mend
from models.imports.graphs.one_by_one import MOST_ROWS, one_by_one
from models.imports.graphs.roles import Roles, inputs_of, roles_of
from models.imports.graphs.wrap import wrap
from models.imports.opening import Foreign, kept_as_script, open_source
from models.imports.options import Options
from models.imports.probes import PICTURES, Looked, Original, check_sizes, first_latents, look
from models.imports.prove import prove
from models.imports.recognise import Source, recognise
from models.imports.report import Report
from models.imports.scripts import ScriptSession, dress_script, roles_of_script
from models.imports.session import Session
from models.imports.sheet import write_sheet
from models.imports.upsampler import understand_upsampler, write_upsampler

CODE = "import-1"
LOOKED_AGAIN = 3
"""Pictures that a freed graph must give before it is dressed; all of them are compared when it is written."""


@dataclass(frozen=True)
class Level:
    """The one graph of the bundle: what computes it, its bytes."""

    kind: Literal["onnx", "torchscript"]
    data: bytes

    @property
    def file(self) -> str:
        """Its name in the bundle."""
        return "level-0.onnx" if self.kind == "onnx" else "level-0.ts"


@dataclass(frozen=True)
class Understood:
    """A foreign generator, ready to be written."""

    source: Source
    roles: Roles
    looked: Looked
    level: Level


def import_file(path: Path, out: Path | None, options: Options, report: Report) -> Bundle | None:
    """Write the bundle `out/name` made of a foreign file; nothing is written when `out` is None.

    Raises ImportRefusedError with a sentence; then nothing is left behind. `report` has what was found until then.
    """
    if options.kind == "upsample":
        return _import_upsampler(path, out, options, report)
    source = _recognised(path, options, report)
    foreign = open_source(source, options, report)
    try:
        return _made(source, foreign, path, out, options, report)
    except ImportRefusedError as error:
        if foreign.script is None or foreign.model is None:
            raise
        kept = kept_as_script(foreign.script, error, report)
        return _made(source, kept, path, out, options, report)


def _made(
    source: Source, foreign: Foreign, path: Path, out: Path | None, options: Options, report: Report
) -> Bundle | None:
    understood = understand(source, foreign, options, report)
    name = _named(path, options, report)
    if out is None:
        return None
    staging = staging_folder(out / name)
    try:
        _write(understood, staging, name, options, report)
        return publish(staging, out / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _named(path: Path, options: Options, report: Report) -> str:
    name = options.name or bundle_name(path)
    report.add("name", name, "said" if options.name else "assumed")
    report.add("licence", options.licence, "said" if "licence" in options.model_fields_set else "assumed")
    return name


def _import_upsampler(path: Path, out: Path | None, options: Options, report: Report) -> Bundle | None:
    source = _recognised(path, options, report)
    upsampler = understand_upsampler(source, options, report)
    name = _named(path, options, report)
    if out is None:
        return None
    staging = staging_folder(out / name)
    try:
        write_upsampler(upsampler, staging, name, options, _provenance(source, options, report), report)
        return publish(staging, out / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _recognised(path: Path, options: Options, report: Report) -> Source:
    source = recognise(path, trusted_class=options.class_ is not None)
    report.add("file", f"{source.path.name}, {source.path.stat().st_size:,} bytes", "file")
    report.add("kind", source.kind, "file")
    return source


def understand(source: Source, foreign: Foreign, options: Options, report: Report) -> Understood:
    """Mend and run what was opened, and dress it in a bundle's signature. Raises ImportRefusedError."""
    if foreign.model is not None:
        return _understood_graph(source, foreign.model, foreign.original, options, report)
    assert foreign.script is not None
    roles = roles_of_script(foreign.script, options, report)
    looked = look(ScriptSession(foreign.script), roles, options, report)
    data = dress_script(foreign.script, roles, looked.picture, looked.low, looked.high)
    return Understood(source, roles, looked, Level("torchscript", data))


def _understood_graph(
    source: Source, model: ModelProto, original: Original | None, options: Options, report: Report
) -> Understood:
    batch = next((one.shape[0] or 0 for one in inputs_of(model) if len(one.shape) > 1), 0)
    mend(model, batch, report)
    roles = roles_of(model, options, report)
    check_sizes(model)
    looked = look(Session(model), roles, options, report, original)
    data = _dressed(model, roles, looked, options, report).SerializeToString(deterministic=True)
    return Understood(source, roles, looked, Level("onnx", data))


def _dressed(model: ModelProto, roles: Roles, looked: Looked, options: Options, report: Report) -> ModelProto:
    """The graph in a bundle's signature for any number of pictures; one that cannot be freed computes them one by one."""
    dressed = wrap(model, roles, looked.picture, looked.low, looked.high)
    if not roles.batch:
        return dressed
    free_batch(model, roles.batch, roles.latents[0].name)
    freed = wrap(model, roles, looked.picture, looked.low, looked.high)
    if roles.batch > MOST_ROWS or looked.are_given_by(freed, *first_latents(roles, options, LOOKED_AGAIN)):
        report.add("batch", f"fixed at {roles.batch}; any number now", "mended")
        return freed
    report.add("batch", f"fixed at {roles.batch} and not to be freed; pictures are computed one by one", "mended")
    return one_by_one(dressed, roles.batch)


def _write(understood: Understood, folder: Path, name: str, options: Options, report: Report) -> None:
    roles, looked, level = understood.roles, understood.looked, understood.level
    (folder / level.file).write_bytes(level.data)
    fields = _fields(understood, name, options, report)
    bundle = write_manifest(folder, fields)
    vectors, labels = first_latents(roles, options, PICTURES)
    check, pictures = prove(bundle, level.kind, vectors, labels, looked.scaled, report)
    write_sheet(folder / "preview.png", pictures)
    fields = _fields(understood, name, options, report) | {"export_checks": (check,)}
    write_card(folder / "README.md", write_manifest(folder, fields).manifest)
    write_manifest(folder, fields)


def _fields(understood: Understood, name: str, options: Options, report: Report) -> dict[str, Any]:
    roles, picture = understood.roles, understood.looked.picture
    level = {
        "previous": None,
        "output": (picture.height, picture.width),
        "label": roles.label is not None,
        "files": {understood.level.kind: understood.level.file},
    }
    return {
        "format_version": 1 if understood.level.kind == "onnx" else 3,
        "name": name,
        "family": "imported",
        "description": options.description or f"Imported from {understood.source.path.name}",
        "image": {"width": picture.width, "height": picture.height, "channels": picture.channels},
        "latent": {"distribution": options.law, "size": roles.size, "cuts": [{"name": "z", "shape": [roles.size]}]},
        "labels": _labels(roles, options),
        "levels": [level],
        "provenance": _provenance(understood.source, options, report),
    }


def _labels(roles: Roles, options: Options) -> tuple[str, ...] | None:
    if roles.label is None:
        return None
    return options.labels or tuple(str(k) for k in range(roles.classes))


def _provenance(source: Source, options: Options, report: Report) -> dict[str, Any]:
    facts = {
        "file": source.path.name,
        "kind": source.kind,
        "bytes": source.path.stat().st_size,
        "sha256": sha256_of(source.path),
        "date": datetime.now(UTC).date().isoformat(),
        "understood": report.as_json(),
    }
    return {
        "dataset": options.dataset,
        "dataset_licence": options.dataset_licence,
        "licence": options.licence,
        "recipe": {"import": facts},
        "code_version": CODE,
        "created": facts["date"],
    }
