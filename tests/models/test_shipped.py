"""The bundles that ship: whole, small enough, and silent about the machine that made them."""

from pathlib import Path

import pytest

from models.bundle import read_bundle
from tests.conftest import ROOT

BUNDLES = sorted(path.parent for path in (ROOT / "models" / "exports").glob("*/manifest.json"))


@pytest.mark.parametrize("folder", BUNDLES, ids=lambda folder: folder.name)
def test_a_shipped_bundle(folder: Path) -> None:
    """Every file matches its checksum, none is over 25 MB, none carries a path of the exporter's machine."""
    bundle = read_bundle(folder)
    assert {"README.md", "preview.png", "weights.safetensors"} <= bundle.manifest.files.keys()
    for file in bundle.manifest.files:
        data = bundle.path(file).read_bytes()
        assert len(data) < 25_000_000
        assert b"site-packages" not in data
    assert not [text for text in _texts(bundle.manifest.provenance.recipe) if text.startswith(("/", "~"))]


def _texts(value: object) -> list[str]:
    """Every text in a tree of tables and lists."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [text for part in value for text in _texts(part)]
    return [value] if isinstance(value, str) else []
