"""The folder that the examples of the help speak of, laid out once, and a server beside it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import tests.onnx_registry  # noqa: F401
from tests.conftest import made_once
from tests.end_to_end import workbench
from tests.end_to_end.processes import running
from tests.end_to_end.workbench import Workbench


@pytest.fixture(scope="module")
def bench(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """A copy of it, which may be changed."""
    made = made_once(tmp_path_factory, "workbench", lambda folder: workbench.lay_out(folder, bundle_folder))
    top = Path(shutil.copytree(made, tmp_path_factory.mktemp("bench") / "top"))
    here = top / "here"
    with running(top, here / "served", GANYMEDE_DEFAULT_MODEL="faces64") as (_, address):
        found = Workbench(here, address)
        found.put_on_the_server()
        yield found
