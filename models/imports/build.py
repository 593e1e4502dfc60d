"""One import from file to published bundle, or to a table of what was understood."""

import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from onnx import ModelProto

from models.bundle import Bundle, publish, sha256_of, staging_folder, write_manifest
from models.imports.card import write_card
from models.imports.graphs.batch import free_batch
from models.imports.graphs.mend import mend
from models.imports.graphs.roles import Roles, inputs_of, roles_of
from models.imports.graphs.wrap import wrap
from models.imports.opening import open_source
from models.imports.options import Options
from models.imports.probes import PICTURES, Looked, check_sizes, first_latents, look
from models.imports.prove import prove
from models.imports.recognise import Source, recognise
from models.imports.report import Report
from models.imports.sheet import write_sheet
from models.imports.upsampler import understand_upsampler, write_upsampler

CODE = "import-1"


@dataclass(frozen=True)
class Understood:
    """A foreign generator, ready to be written."""

    source: Source
    roles: Roles
    looked: Looked
    graph: ModelProto


def import_file(path: Path, out: Path | None, options: Options, report: Report) -> Bundle | None:
    """Write the bundle `out/name` made of a foreign file; nothing is written when `out` is None.

    Raises ImportRefusedError with a sentence; then nothing is left behind. `report` has what was found until then.
    """
    if options.kind == "upsample":
        return _import_upsampler(path, out, options, report)
    understood = understand(path, options, report)
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


def bundle_name(path: Path) -> str:
    """The file's name as a bundle's: letters, digits, `_`, `.` and `-`."""
    stem = path.name if path.is_dir() else path.stem
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-._")[:64] or "imported"


def understand(path: Path, options: Options, report: Report) -> Understood:
    """Recognise, open, mend and run a file. Raises ImportRefusedError."""
    source = _recognised(path, options, report)
    foreign = open_source(source, options, report)
    model = foreign.model
    batch = next((one.shape[0] or 0 for one in inputs_of(model) if len(one.shape) > 1), 0)
    mend(model, batch, report)
    roles = roles_of(model, options, report)
    check_sizes(model)
    looked = look(model, roles, options, report, foreign.original)
    return Understood(source, roles, looked, _dressed(model, roles, looked, report))


def _dressed(model: ModelProto, roles: Roles, looked: Looked, report: Report) -> ModelProto:
    if roles.batch:
        free_batch(model, roles.batch, roles.latents[0].name)
        report.add("batch", f"fixed at {roles.batch}; any number now", "mended")
    return wrap(model, roles, looked.picture, looked.low, looked.high)


def _write(understood: Understood, folder: Path, name: str, options: Options, report: Report) -> None:
    roles, looked = understood.roles, understood.looked
    (folder / "level-0.onnx").write_bytes(understood.graph.SerializeToString(deterministic=True))
    fields = _fields(understood, name, options, report)
    bundle = write_manifest(folder, fields)
    vectors, labels = first_latents(roles, options, PICTURES)
    check, pictures = prove(bundle, "onnx", vectors, labels, looked.scaled, report)
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
        "files": {"onnx": "level-0.onnx"},
    }
    return {
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
