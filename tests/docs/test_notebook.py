"""docs/tour.ipynb runs from its first cell to its last, on the shipped bundles, and is committed without outputs."""

import json
import os

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "tour.ipynb"


def test_it_is_committed_without_outputs() -> None:
    """So that the repository stays small and a change is a change of words; in twenty cells, as was promised."""
    cells = json.loads(PAGE.read_text())["cells"]
    assert PAGE.stat().st_size < 100_000
    assert len(cells) <= 20
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code")


@pytest.mark.timeout(600)
def test_every_cell_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server it starts, arithmetic, a walk, projection and the comparison; its own assertions hold."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in [name for name in os.environ if name.startswith("GANYMEDE_")]:
        monkeypatch.delenv(name)
    page = nbformat.read(PAGE, as_version=4)
    NotebookClient(page, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    shown = [
        output for cell in page.cells for output in cell.get("outputs", []) if output.output_type == "execute_result"
    ]
    assert sum("image/png" in output.data for output in shown) >= 5
