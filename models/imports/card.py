"""The model card of an imported bundle, written from its manifest so that the two cannot differ."""

import json
from pathlib import Path
from typing import Any

from models.manifest import Manifest


def write_card(path: Path, manifest: Manifest) -> None:
    """Write the card: where the file came from, and how each fact about it is known."""
    facts = manifest.provenance.recipe["import"]
    parts = [_front_matter(manifest), f"# {manifest.name}\n\n{manifest.description}", _source(facts), _known(facts)]
    parts += [_checks(manifest), _licence(manifest)]
    path.write_text("\n\n".join(parts) + "\n", "utf-8")


def _front_matter(manifest: Manifest) -> str:
    facts = {
        "license": manifest.provenance.licence,
        "datasets": [manifest.provenance.dataset],
        "dataset_license": manifest.provenance.dataset_licence,
        "library_name": "ganymede",
        "tags": ["gan", "imported", f"{manifest.image.height}x{manifest.image.width}"],
    }
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in facts.items()]
    return "\n".join(["---", *lines, "---"])


def _source(facts: dict[str, Any]) -> str:
    return (
        f"## Where it comes from\n\nImported from `{facts['file']}` ({facts['kind']}, {facts['bytes']:,} bytes, sha256 "
        f"`{facts['sha256']}`) on {facts['date']}. "
        "It was not trained here; who made the file answers for what it was trained on.\n\n"
        "![Sixteen samples](preview.png)"
    )


def _known(facts: dict[str, Any]) -> str:
    rows = [f"| {row['what']} | {_cell(row['value'])} | {row['how']} |" for row in facts["understood"]]
    head = ["## What was understood", "", "| what | value | how it is known |", "|---|---|---|"]
    return "\n".join([*head, *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _checks(manifest: Manifest) -> str:
    rows = [
        f"- {check.file}: largest difference {check.max_abs_difference:.2g} of the range -1 to 1."
        for check in manifest.export_checks
    ]
    return "\n".join(["## Checked", "", *rows])


def _licence(manifest: Manifest) -> str:
    facts = manifest.provenance
    return f"## Licence\n\nWeights: {facts.licence}. Data: {facts.dataset} ({facts.dataset_licence})."
