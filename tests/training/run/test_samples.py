"""Sheets of a run: pictures row by row, in the format the name says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training.run import samples


@pytest.mark.parametrize(("name", "kind", "apart"), [("grid.png", "PNG", 0), ("grid.webp", "WEBP", 8)])
def test_a_sheet_is_what_its_name_says(tmp_path: Path, name: str, kind: str, apart: int) -> None:
    """Six greys in rows of three, a black line between; a PNG to the bit, a WebP nearly."""
    greys = torch.linspace(-1, 1, 6).view(6, 1, 1, 1).expand(6, 3, 16, 16)
    samples.save_grid(tmp_path / name, greys, 3)
    with Image.open(tmp_path / name) as sheet:
        assert (sheet.format, sheet.size) == (kind, (50, 33))
        seen = np.asarray(sheet.convert("L"), int)[[8, 25]][:, [8, 25, 42]]
    assert np.abs(seen - np.array([[0, 51, 102], [153, 204, 255]])).max() <= apart
    assert [file.name for file in tmp_path.iterdir()] == [name]
