"""`ganymede compare` in a browser: the same seeds of both bundles, their facts and scores, nothing fetched."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.bundle import read_bundle
from models.manifest import Score
from tests.end_to_end.browser import chromium, guarded
from training.cli.main import app
from training.export.rescore import rescore


@pytest.fixture
def two(bundle_folder: Path, tmp_path: Path) -> list[Path]:
    """Two bundles of one data set, with one score in common, where less is better, and one that only the first has."""
    folders = [Path(shutil.copytree(bundle_folder / name, tmp_path / name)) for name in ("tiny", "tiny-labels")]
    rescore(folders[0], [Score(name="lite2_frechet", value=30.25, protocol="1,000 samples")])
    rescore(folders[1], [Score(name="lite2_frechet", value=20.5, protocol="1,000 samples")])
    rescore(folders[0], [Score(name="lite2_recall", value=0.5, protocol="k=3")])
    return folders


def test_two_bundles_stand_side_by_side(two: list[Path], tmp_path: Path) -> None:
    """Both sheets are seen, the better score is marked, in light and in dark; no request leaves the page."""
    out = tmp_path / "out" / "compare.html"
    result = CliRunner().invoke(app, ["compare", *map(str, two), "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == out.resolve().as_uri()
    with chromium() as browser:
        for scheme in ("light", "dark"):
            with guarded(browser, out.parent.as_uri(), color_scheme=scheme) as page:
                page.goto(out.resolve().as_uri())
                sheets = page.locator("figure img")
                assert sheets.count() == 2
                assert all(
                    sheet.evaluate("image => image.complete && image.naturalWidth > 0") for sheet in sheets.all()
                )
                cells = page.locator("tr", has_text="lite2_frechet").locator("td")
                assert cells.all_inner_texts() == ["30.25", "20.50"]
                assert cells.nth(1).get_attribute("class") == "good"
                assert page.locator("tr", has_text="lite2_recall").locator("td").all_inner_texts() == ["0.500", "–"]
                assert page.locator("tr", has_text="one picture").locator("td").count() == 2
                assert read_bundle(two[0]).reference in page.locator("code").first.inner_text()


def test_one_bundle_alone_is_refused(bundle_folder: Path) -> None:
    """A sentence and exit code 1."""
    assert CliRunner().invoke(app, ["compare", str(bundle_folder / "tiny")]).exit_code == 1
