"""The page as a whole: accessible, narrow, closed to the world; models, training runs, API keys."""

import re
import shutil
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from service.auth.keys import new_key
from tests.conftest import ROOT
from tests.end_to_end.browser import guarded
from tests.end_to_end.processes import running
from tests.end_to_end.studio.page import AXE, VIEWS, Open, drop, photograph, save_latents, seeds, visit


def test_accessible(studio: Open) -> None:
    """axe finds nothing in any view, neither in the light theme nor in the dark one."""
    with studio(color_scheme="light", reduced_motion="reduce") as page:
        visit(page)
        page.evaluate(AXE)
        found = {}
        for view in VIEWS:
            page.evaluate("hash => { location.hash = hash; }", view)
            page.locator(f".view-{view.split('?')[0]}").wait_for()
            page.wait_for_load_state("networkidle")
            for scheme, rules in (("light", "{}"), ("dark", "{runOnly: ['color-contrast']}")):
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                report = page.evaluate(f"axe.run(document, {rules})")
                found[view, scheme] = [
                    (v["id"], [node["html"][:160] for node in v["nodes"]][:3]) for v in report["violations"]
                ]
        assert {view: wrongs for view, wrongs in found.items() if wrongs} == {}


def test_narrow_screens(studio: Open) -> None:
    """At 360 pixels nothing is wider than the screen, and the run folder's curves and warning are there."""
    with studio() as page:
        page.set_viewport_size({"width": 360, "height": 740})
        for view in VIEWS:
            visit(page, view)
            page.wait_for_timeout(300)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
            expect(page.locator("nav [aria-current]")).to_be_in_viewport(ratio=0.9)
        expect(page.locator(".problem")).to_contain_text("grown alike")
        expect(page.locator(".chart")).to_have_count(1)


def test_the_page_cannot_call_out(browser: Browser, address: str) -> None:
    """The policy refuses what the guard would catch: another host gets no request, and inline scripts do not run."""
    page = browser.new_page()
    try:
        page.goto(address)
        called = page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'called', error => error.name)")
        assert called == "TypeError"
        refused = "() => { try { document.body.innerHTML = '<b></b>'; return 'taken'; } catch (e) { return e.name; } }"
        assert page.evaluate(refused) == "TypeError"
    finally:
        page.close()


def test_full_views_are_narrow_and_accessible_too(studio: Open, address: str) -> None:
    """At 360 pixels with an equation, a sharpened picture and a dialog: nothing sticks out, axe finds nothing."""
    save_latents(address, "tiny", 1, 2)
    with studio(color_scheme="dark", reduced_motion="reduce") as page:
        page.set_viewport_size({"width": 360, "height": 740})
        visit(page, "shelf?model=tiny&A=card-1&B=card-2")
        page.locator("#around .tile").first.wait_for()
        check(page, "equation")
        visit(page, "sharpen?model=tall-lapgan&start=8&seed=3")
        drop(page, photograph())
        expect(page.locator(".film button[aria-label^='Level']")).to_have_count(3)
        check(page, "film strip")
        page.keyboard.press("?")
        page.get_by_role("dialog").wait_for()
        check(page, "keys")


def check(page: Page, what: str) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), what
    page.evaluate(AXE)
    report = page.evaluate("axe.run(document)")
    wrongs = [(v["id"], [node["html"][:160] for node in v["nodes"]][:3]) for v in report["violations"]]
    assert not wrongs, (what, wrongs)


def test_who_is_faster_than_the_page_loses_nothing(studio: Open) -> None:
    """A picture dropped, keys pressed and a tab chosen while the models are still on their way: all of it is there afterwards."""
    with studio() as page:
        held: list[Route] = []
        page.route("**/models", lambda route: held.append(route))
        page.goto("/#sharpen?model=tall-lapgan&start=8&seed=3")
        page.locator(".loading").wait_for()
        for key in ("Space", "s", "BracketRight"):
            page.keyboard.press(key)
        drop(page, photograph())
        held.pop().continue_()
        expect(page.locator(".film button[aria-label^='Level']")).to_have_count(3)
        assert "start=8" in page.url
        assert "seed=3" in page.url
        page.reload(wait_until="commit")
        page.locator(".loading").wait_for()
        page.get_by_role("link", name="Walk").click()
        held.pop().continue_()
        page.locator(".view-walk .stage").wait_for()


def test_training_is_scrubbed_through_time(studio: Open) -> None:
    """The same seeds, earlier: the slider shows the grid of another step."""
    with studio() as page:
        visit(page, "training?run=first")
        grid = page.locator(".time img")
        expect(grid).to_have_attribute("src", "/training/runs/first/grids/8.png")
        page.get_by_label("The same seeds at step").focus()
        page.keyboard.press("ArrowLeft")
        expect(grid).to_have_attribute("src", "/training/runs/first/grids/4.png")
        expect(grid).to_have_attribute("alt", "Fixed seeds at step 4")


def test_models_show_their_cards(studio: Open) -> None:
    """What a bundle says of itself, without leaving the page."""
    with studio() as page:
        visit(page, "models")
        page.locator(".model", has_text="tiny-labels").get_by_role("button", name="Card").click()
        expect(page.get_by_role("dialog").locator("textarea")).to_have_value(re.compile("# tiny-labels\\n\\nRandom"))


@pytest.fixture
def keyed(tmp_path: Path, runs: Path) -> tuple[str, dict[str, str]]:
    """A key that may compute and save, and the settings of a server that asks for keys."""
    token, table = new_key("reader", ["sample", "latents:write"], 6000)
    (tmp_path / "keys.toml").write_text(table)
    return token, {"GANYMEDE_API_KEYS_FILE": str(tmp_path / "keys.toml"), "GANYMEDE_RUNS_DIR": str(runs)}


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """A folder with the one shipped bundle that has a preview and is small."""
    folder = tmp_path / "bundles"
    shutil.copytree(ROOT / "models" / "exports" / "fashion32", folder / "fashion32")
    return folder


def test_the_studio_of_a_server_with_keys(
    browser: Browser, fashion: Path, tmp_path: Path, keyed: tuple[str, dict[str, str]]
) -> None:
    """It asks for the key, says when it is wrong, and then every picture is there; the key stays out of what is copied."""
    token, settings = keyed
    with running(tmp_path, fashion, **settings) as (_, address), guarded(browser, address, expected="401") as page:
        visit(page)
        for key, sentence in (("gmd_wrong", "does not know this key"), (token, "")):
            page.get_by_label("Key, kept until").fill(key)
            page.keyboard.press("Enter")
            expect(page.get_by_role("dialog").locator("p")).to_contain_text(sentence) if sentence else None
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert len(seeds(page)) == 24
        page.locator(".copy").get_by_role("button", name="curl").click()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert "$GANYMEDE_API_KEY" in copied
        assert token not in copied
        visit(page, "models")
        drawn(page, ".model img")
        visit(page, "training")
        drawn(page, ".time img")
        visit(page, "jobs")
        page.get_by_label("How many pictures").fill("4")
        page.get_by_role("button", name="Start a job").click()
        page.get_by_role("button", name="Show").first.click()
        drawn(page, "#job-result img")
        assert page.context.cookies() == []
        assert httpx.get(f"{address}/models").status_code == 401


def drawn(page: Page, selector: str) -> None:
    """Every such picture has been fetched and decoded."""
    page.wait_for_function(
        "s => { const all = [...document.querySelectorAll(s)]; return all.length && all.every(i => i.naturalWidth > 1); }",
        arg=selector,
    )
