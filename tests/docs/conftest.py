"""One server over the shipped bundles for all documents whose commands are run."""

from collections.abc import Iterator

import pytest

from tests.conftest import ROOT
from tests.end_to_end.processes import running


@pytest.fixture(scope="package")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("documents"), ROOT / "models" / "exports") as (_, url):
        yield url
