"""Every key that `?` lists does what it says."""

import re

import httpx
from playwright.sync_api import Page, expect

from tests.end_to_end.studio.page import Open, drop, photograph, said, save_latents, seeds, visit


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_the_list_is_complete(studio: Open) -> None:
    """`?` lists exactly the keys that the tests of this file press."""
    with studio() as page:
        visit(page)
        seeds(page)
        press(page, "?")
        keys = [
            "1 – 7",
            "space",
            "[ and ]",
            "L",
            "arrows",
            "Enter",
            "S",
            "D",
            "W",
            "+ and −",
            "P",
            "R",
            "C",
            "T",
            "?",
            "Esc",
        ]
        expect(page.locator(".keys kbd")).to_have_text(keys, use_inner_text=True)
        press(page, "Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_views_theme_copy(studio: Open) -> None:
    """1 to 7 go to the views, T changes the theme and keeps it, C copies."""
    names = ["sample", "shelf", "walk", "sharpen", "jobs", "models", "training"]
    with studio(color_scheme="light") as page:
        visit(page)
        seeds(page)
        for number, name in enumerate(names, 1):
            press(page, str(number))
            page.locator(f"main.view-{name}").wait_for()
        press(page, "1")
        seeds(page)
        page.wait_for_timeout(500)  # what coming back says is said before the copy
        press(page, "c")
        said(page, "curl copied")
        press(page, "t")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_keys_of_sample(studio: Open) -> None:
    """Space, brackets and L move the seed; arrows move the focus; S, D and W keep, fetch and collect the picture."""
    with studio() as page:
        visit(page, "sample?model=tiny&seed=100&n=9")
        assert seeds(page)[0] == 100
        page.locator("#sheet .tile button").first.focus()
        press(page, "]")
        said(page, "9 pictures, seeds from 101")
        press(page, "[")
        said(page, "9 pictures, seeds from 100")
        press(page, "l")
        said(page, "Seed locked")
        press(page, " ")
        said(page, "The seed is locked; press L to unlock it")
        press(page, "l", " ")
        said(page, re.compile(r"9 pictures, seeds from (?!100$)\d+"))
        expect(page.locator("#sheet .tile button").first).not_to_have_attribute("aria-label", re.compile("seed 100$"))
        kept = seeds(page)
        page.locator("#sheet .tile button").first.focus()
        press(page, "ArrowRight", "End", "Home", "ArrowDown")
        columns = page.locator("#sheet").evaluate("n => getComputedStyle(n).gridTemplateColumns.split(' ').length")
        picked = kept[columns]
        expect(page.locator(".inspector h2")).to_have_text(f"seed {picked}")
        press(page, "Enter", "s")
        said(page, f"Saved as tiny-{picked}")
        with page.expect_download() as download:
            press(page, "d")
        assert download.value.suggested_filename == f"tiny-{picked}.png"
        press(page, "w")
        said(page, f"Stop 1 of the walk: seed {picked}")


def test_keys_of_shelf(studio: Open, address: str) -> None:
    """+ and − build the equation; D fetches the result, S keeps it, Enter walks, W collects a card, Delete removes it."""
    save_latents(address, "tiny", 31, 32)
    with studio() as page:
        visit(page, "shelf?model=tiny")
        page.locator("#cards button[aria-label='card-31']").focus()
        press(page, "+")
        page.locator("#cards button[aria-label='card-32']").focus()
        press(page, "-")
        expect(page.locator(".expression")).to_have_text('"card-31" - "card-32"')
        said(page, 'Result of "card-31" - "card-32"')
        expect(page.locator("#around .tile")).to_have_count(9)
        with page.expect_download():
            press(page, "d")
        press(page, "s")
        said(page, re.compile("Saved as result-"))
        expect(page.locator("#cards button[aria-label^='result-']").first).to_be_visible()
        page.locator("#cards button[aria-label='card-31']").focus()
        expect(page.locator("#cards button[aria-label='card-31']")).to_have_attribute("aria-current", "true")
        press(page, "w")
        said(page, "Stop 1 of the walk: card-31")
        page.locator("#around .tile button[tabindex='0']").focus()
        press(page, "Home", "Enter")
        expect(page.locator(".crumbs")).to_contain_text("step 1")
        page.locator("#cards button[aria-label='card-32']").focus()
        press(page, "Delete")
        said(page, "Removed card-32")
    assert httpx.get(f"{address}/latents/card-32").status_code == 404


def test_keys_of_walk_and_sharpen(studio: Open) -> None:
    """P plays and pauses; R shows the residual; D downloads both."""
    with studio() as page:
        visit(page, "walk?model=tiny&stops=1,2&frames=8")
        page.locator(".screen img").wait_for()
        press(page, "p")
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        page.wait_for_function("() => !document.querySelector('.status').textContent.includes('Frame 1 ')")
        press(page, "p")
        expect(page.get_by_role("button", name="Play")).to_be_visible()
        with page.expect_download() as download:
            press(page, "d")
        assert download.value.suggested_filename == "tiny-walk.gif"
        visit(page, "sharpen?model=tiny-lapgan&seed=3")
        drop(page, photograph())
        page.locator(".film button").first.wait_for()
        expect(page.locator("main .stage")).to_have_attribute("aria-busy", "false")
        press(page, "r")
        expect(page.locator("img[alt^='What level']")).to_be_visible()
        with page.expect_download() as download:
            press(page, "d")
        assert download.value.suggested_filename == "photo-32.png"
