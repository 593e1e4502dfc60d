"""How the tests of imports run one: in this process, into a folder of their own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.bundle import Bundle
from models.imports.build import import_file
from models.imports.options import Options
from models.imports.report import Report
from models.mathematics.latents import draw
from models.runtimes import open_runtime
from models.runtimes.base import Array, one_hot

Import = Callable[..., tuple[Bundle, dict[str, str]]]


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    """`bundle, facts = imported(path, labels="a,b")`: the bundle and what was understood, by name."""

    def run(path: Path, **said: object) -> tuple[Bundle, dict[str, str]]:
        report = Report()
        bundle = import_file(path, tmp_path / "bundles", Options.model_validate(said), report)
        assert bundle is not None
        return bundle, {row.what: f"{row.value} ({row.how})" for row in report.rows}

    return run


def pictures(bundle: Bundle, count: int = 4, label: int | None = None) -> Array:
    """Pictures of seeds 0, 1, … as a server makes them, together."""
    labels = None if label is None else one_hot([label] * count, len(bundle.manifest.labels or ()))
    return open_runtime(bundle).run_level(0, None, draw(bundle.manifest.latent, range(count)), labels)


def same(bundle: Bundle, expected: Tensor | Array, label: int | None = None) -> bool:
    """Whether the bundle gives the expected pictures, to a hundredth of a step of 255."""
    wanted = expected.detach().numpy() if isinstance(expected, torch.Tensor) else expected
    return bool(np.abs(pictures(bundle, len(wanted), label) - wanted).max() < 1e-4)
