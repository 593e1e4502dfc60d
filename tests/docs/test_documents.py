"""The documents are true: README's commands run, tables match the code, links lead somewhere."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from docs.settings_table import table
from service.observability.metrics import TABLE
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
PAGES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md"))]
CURLS = re.findall(r"^curl .*$", README, re.MULTILINE)


@pytest.mark.parametrize("line", CURLS)
def test_readme_curl_lines(address: str, tmp_path: Path, line: str) -> None:
    """Each line of the README works as printed, on the shipped bundles."""
    words = [word.replace("localhost:8000", address.removeprefix("http://")) for word in shlex.split(line)]
    done = subprocess.run([*words, "--fail-with-body"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    for file in tmp_path.iterdir():
        assert file.stat().st_size > 100


def test_there_are_five_curl_lines() -> None:
    """As promised by the heading."""
    assert len(CURLS) == 5


def test_settings_page_is_the_code() -> None:
    """docs/settings.md is what docs/settings_table.py writes."""
    assert (ROOT / "docs" / "settings.md").read_text() == table()


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Every relative link of a page is a file or folder of the project."""
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / page).parent / target).exists(), target


def test_metrics_have_names_and_help() -> None:
    """Every metric is documented by its own help text."""
    assert all(text for _, text, _, _ in TABLE.values())
