"""run.html in a browser: curves, a slider over the grids, nothing fetched, in light and in dark."""

import json
from pathlib import Path

from tests.end_to_end.browser import chromium, guarded
from tests.training.conftest import TrainerFactory
from training.run.page import FRAMES, spread
from training.run.run_folder import RunFolder


def test_a_run_leaves_a_page_that_a_browser_shows(trainer: TrainerFactory) -> None:
    """Grids of every snapshot, the newest first in sight; the slider goes back in time; curves are drawn."""
    run = trainer(run__steps=8, run__snapshot_every=2, run__log_every=1)
    run.run()
    page_file = run.folder.page
    assert page_file.stat().st_size < 200_000
    with chromium() as browser:
        for scheme in ("light", "dark"):
            with guarded(browser, page_file.parent.as_uri(), color_scheme=scheme) as page:
                page.goto(page_file.resolve().as_uri())
                assert page.get_by_role("heading", level=1).inner_text() == "dcgan-modern"
                assert page.locator("#step").inner_text() == "step 8"
                slider, newest = page.get_by_role("slider"), page.locator("#grid").get_attribute("src")
                slider.press("Home")
                assert page.locator("#step").inner_text() == "step 2"
                assert page.locator("#grid").get_attribute("src") != newest
                assert page.locator("#grid").evaluate("image => image.complete && image.naturalWidth > 0")
                assert page.locator("figure path").count() >= 4
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_name_cannot_end_the_script(trainer: TrainerFactory) -> None:
    """Descriptions are text, whatever they hold."""
    run = trainer(description="</script><script>alert(1)</script>", run__steps=1, run__snapshot_every=1)
    run.run()
    text = run.folder.page.read_text()
    assert text.count("</script>") == 2
    assert "alert(1)" in text


def test_many_snapshots_make_no_endless_page(tmp_path: Path) -> None:
    """At most so many frames, the first and the newest among them."""
    shown = spread(range(1000), FRAMES)
    assert len(shown) == FRAMES
    assert (shown[0], shown[-1]) == (0, 999)
    assert spread([1, 2], FRAMES) == [1, 2]
    (tmp_path / "stats.jsonl").write_text(json.dumps({"step": 1}) + '\n{"step": ')
    assert RunFolder(tmp_path).best_step() is None
