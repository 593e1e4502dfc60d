"""Walk: fetched once, scrubbed for nothing, exported whole."""

from PIL import Image, ImageSequence
from playwright.sync_api import expect

from tests.end_to_end.studio.page import Open, visit


def test_a_walk_is_fetched_once_and_exported(studio: Open) -> None:
    """Scrubbing through the frames asks the server for nothing; the GIF has every frame."""
    with studio() as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "interpolate" in request.url else None)
        visit(page, "walk?model=tiny&stops=1,2,3&frames=12")
        page.locator(".screen img").wait_for()
        sources = set()
        page.locator("#frame").focus()
        for _ in range(12):
            sources.add(page.locator(".screen img").get_attribute("src"))
            page.keyboard.press("ArrowRight")
            page.wait_for_timeout(40)
        assert len(sources) == 12
        assert len(asked) == 1
        with page.expect_download() as download:
            page.get_by_role("button", name="Save GIF").click()
        assert len(ImageSequence.all_frames(Image.open(download.value.path()))) == 12
        with page.expect_download() as download:
            page.get_by_role("button", name="Save WebP").click()
        assert len(ImageSequence.all_frames(Image.open(download.value.path()))) == 12


def test_stops_come_from_pictures_and_from_words(studio: Open) -> None:
    """W on a picture adds it; a seed can be written; one can be taken out; a stop of the strip is jumped to."""
    with studio() as page:
        visit(page, "sample?model=tiny&seed=40&n=4")
        page.locator("#sheet .tile button").first.focus()
        for key in ("w", "ArrowRight", "w", "3"):
            page.keyboard.press(key)
        expect(page.locator(".stops li")).to_have_text(["40", "41"])
        page.get_by_label("Add a stop").fill("7")
        page.keyboard.press("Enter")
        expect(page.locator(".film button")).to_have_count(3)
        page.get_by_role("button", name="Stop 3: 7").click()
        expect(page.get_by_role("button", name="Stop 3: 7")).to_have_attribute("aria-current", "true")
        page.get_by_role("button", name="Remove stop 1").click()
        expect(page.locator(".film button")).to_have_count(2)
        assert "stops=41%2C7" in page.url
