"""Sharpen: dropped, pasted or picked; level by level; one level drawn again; residual, before and after."""

from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect

from tests.end_to_end.studio.page import Open, drop, paste, photograph, picture, seeds, visit


def finished(page: Page, levels: int) -> list[str]:
    """The pictures of the film strip, once every level is there."""
    expect(page.locator(".film button[aria-label^='Level']")).to_have_count(levels)
    expect(page.locator("main .stage")).to_have_attribute("aria-busy", "false")
    return page.locator(".film button[aria-label^='Level'] img").evaluate_all("all => all.map(i => i.src)")


def test_a_photograph_rises_level_by_level(studio: Open, tmp_path: Path) -> None:
    """8, 16, 32, 64 pixels as a film strip; the caption is honest; the address keeps what makes it."""
    (tmp_path / "photo.png").write_bytes(photograph())
    with studio() as page:
        visit(page, "sharpen?model=tall-lapgan&start=8&seed=3")
        page.locator("input[type=file]").set_input_files(tmp_path / "photo.png")
        levels = finished(page, 3)
        assert [picture(level).shape[0] for level in levels] == [16, 32, 64]
        expect(page.locator(".film figcaption")).to_have_text(["yours", "8 × 8"])
        expect(page.locator(".caution")).to_contain_text("invented, not recovered")
        assert "start=8" in page.url
        assert "seed=3" in page.url


def test_one_level_is_drawn_again_and_the_others_stay(studio: Open) -> None:
    """The first level keeps its pixels when the second gets a new seed; the third follows the second."""
    with studio() as page:
        visit(page, "sharpen?model=tall-lapgan&start=8&seed=3")
        drop(page, photograph())
        before = finished(page, 3)
        page.get_by_role("button", name="Draw level 2 again").click()
        page.wait_for_function(
            "old => document.querySelectorAll('.film button img')[1]?.src !== old && "
            "document.querySelector('main .stage').ariaBusy === 'false'", arg=before[1]
        )  # fmt: skip
        after = finished(page, 3)
        assert np.array_equal(picture(after[0]), picture(before[0]))
        assert not np.array_equal(picture(after[1]), picture(before[1]))
        assert "seeds=3%2C" in page.url


def test_dropped_and_pasted_anywhere(studio: Open) -> None:
    """A photograph let go over another view goes to Sharpen; so does one from the clipboard."""
    with studio() as page:
        for give, name in ((drop, "dropped.png"), (paste, "pasted.png")):
            visit(page, "sample?model=tiny")
            seeds(page)
            give(page, photograph(), name)
            expect(page.locator(".view-sharpen .status")).to_contain_text(name)
            finished(page, 1)


def test_residual_and_before_and_after(studio: Open) -> None:
    """R shows what a level added, around grey, also after drawing again; the slider cuts between before and after."""
    with studio() as page:
        visit(page, "sharpen?model=tiny-lapgan&seed=3")
        drop(page, photograph())
        finished(page, 1)
        cut = page.get_by_role("slider", name="Before and after")
        cut.fill("20")
        assert page.locator(".compare").evaluate("node => node.style.getPropertyValue('--cut')") == "20%"
        cut.focus()
        page.keyboard.press("ArrowRight")
        assert page.locator(".compare").evaluate("node => node.style.getPropertyValue('--cut')") == "20.5%"
        page.keyboard.press("r")
        shown = page.locator(".screen img[alt^='What level 1 added']")
        first = shown.get_attribute("src")
        assert 100 < picture(first)[..., :3].mean() < 156
        page.keyboard.press(" ")
        page.wait_for_function("old => document.querySelector('.screen img')?.src.startsWith('data:image/png') && "
                               "document.querySelector('.screen img').src !== old", arg=first)  # fmt: skip
        expect(shown).to_be_visible()
        page.keyboard.press("r")
        expect(page.locator(".compare")).to_be_visible()
