"""The studio in a real browser: every view, by mouse and by keyboard, and nothing that leaves the server."""

import base64
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import axe_playwright_python
import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.browser import chromium, guarded
from tests.end_to_end.processes import environment, running

AXE = next(Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")).read_text()
expect.set_options(timeout=20_000)
VIEWS = ("sample", "shelf", "walk?stops=1,2", "sharpen", "jobs", "models", "training")
Open = Callable[..., AbstractContextManager[Page]]


@pytest.fixture(scope="module")
def address(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server over the tiny bundles, with one run folder to look at."""
    folder = tmp_path_factory.mktemp("studio")
    run = folder / "runs" / "first"
    (run / "grids").mkdir(parents=True)
    rows = [{"step": k, "images": k * 64, "seconds": 1.5 * k, "generator_loss": 1 / k} for k in range(1, 9)]
    rows[-1]["diversity_ratio"] = 0.1
    (run / "stats.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for step in (4, 8):
        Image.new("RGB", (32, 32), (step * 30, 60, 90)).save(run / "grids" / f"step-{step:08d}.png")
    settings = {"GANYMEDE_DEFAULT_MODEL": "tiny", "GANYMEDE_RUNS_DIR": str(run.parent), "GANYMEDE_JOB_SLOTS": "1"}
    with running(folder, bundle_folder, **settings, GANYMEDE_THREADS="1") as (_, found):
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def studio(browser: Browser, address: str) -> Open:
    """`with studio() as page`: the page in a fresh context."""
    return partial(guarded, browser, address)


def visit(page: Page, hash_: str = "sample") -> None:
    """Open a view and wait until it is drawn."""
    page.goto(f"/#{hash_}")
    page.locator("nav [aria-current=page]").wait_for()


def seeds(page: Page) -> list[int]:
    """The seeds of the sheet in order."""
    page.locator("#sheet:not(.busy) .tile img").first.wait_for()
    return [int(text.split()[-1]) for text in page.locator("#sheet .caption").all_inner_texts()]


def picture(source: str | None) -> Any:
    """Pixels of a data: URL."""
    assert source is not None
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",", 1)[1]))))


def test_opens_with_a_finished_sheet_that_its_address_brings_back(studio: Open) -> None:
    """Pictures without a click; dice, steps and lock change the seed; the address shows the same sheet elsewhere."""
    with studio() as page:
        visit(page)
        first = seeds(page)
        assert len(first) == 24
        assert page.locator("#sheet img").evaluate_all("all => all.every(i => i.complete && i.naturalWidth === 16)")
        page.get_by_role("button", name="New seeds").click()
        page.wait_for_function(f"!location.hash.includes('seed={first[0]}&')")
        page.get_by_role("button", name="One seed up").click()
        page.wait_for_timeout(300)
        shown, link = seeds(page), page.url
        page.get_by_role("button", name="Lock the seed").click()
        expect(page.get_by_role("button", name="New seeds")).to_be_disabled()
    with studio() as page:
        page.goto(link)
        assert seeds(page) == shown != first


def test_every_flow_by_keyboard(studio: Open) -> None:
    """From new seeds over the shelf to a step through the neighbourhood without touching the mouse."""
    with studio() as page:
        visit(page, "sample?model=tiny&seed=5&n=9")
        assert seeds(page)[0] == 5
        page.locator("#sheet .tile button").first.focus()
        for _ in range(3):
            page.keyboard.press("s")
            expect(page.locator("#live")).to_have_text(re.compile("Saved as|on the shelf"))
            page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.closest('li').matches(':nth-child(4)')")
        page.keyboard.press("2")
        expect(page.locator("#cards .tile")).to_have_count(3)
        page.locator("#cards .tile button").first.focus()
        for key in ("+", "ArrowRight", "-", "ArrowRight", "+"):
            page.keyboard.press(key)
            page.wait_for_timeout(150)  # as fast as fingers are, not as fast as a program
        expect(page.locator(".expression")).to_have_text('"tiny-7" - "tiny-6" + "tiny-5"')
        expect(page.locator("#around .tile")).to_have_count(9)
        page.locator("#around .tile button[tabindex='0']").focus()
        page.keyboard.press("Home")
        page.keyboard.press("Enter")
        expect(page.locator(".crumbs")).to_contain_text("step 1")
        page.keyboard.press("s")
        expect(page.locator("#cards .tile")).to_have_count(4)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_result_is_what_the_api_answers(studio: Open, address: str) -> None:
    """The picture of the equation is the one POST /arithmetic gives for the expression that is shown."""
    for seed in (11, 12):
        body = {"name": f"card-{seed}", "model": "tiny-labels", "from": {"seed": seed}}
        assert httpx.post(f"{address}/latents", json=body).status_code == 201
    with studio() as page:
        visit(page, "shelf?model=tiny-labels&A=card-11&B=card-12")
        image = page.locator(".result img")
        image.wait_for()
        body = {"model": "tiny-labels", "expression": page.locator(".expression").inner_text()}
        answer = httpx.post(f"{address}/arithmetic", json=body, headers={"Accept": "image/png"})
        assert np.array_equal(picture(image.get_attribute("src")), np.asarray(Image.open(io.BytesIO(answer.content))))


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
        assert Image.open(download.value.path()).n_frames == 12


def test_sharpening_level_by_level(studio: Open, tmp_path: Path) -> None:
    """A photograph becomes a film strip; one level is drawn again alone; the caption is honest."""
    photograph = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)).save(photograph)
    with studio() as page:
        visit(page, "sharpen?seed=3")
        page.locator("input[type=file]").set_input_files(photograph)
        level = page.locator(".film button[aria-label^='Level 1']")
        level.wait_for()
        expect(page.locator("main .stage")).to_have_attribute("aria-busy", "false")
        before = level.locator("img").get_attribute("src")
        assert picture(before).shape == (32, 32, 3)
        page.get_by_role("button", name="Draw level 1 again").click()
        page.wait_for_function("old => document.querySelector('.film button img')?.src !== old", arg=before)
        assert "seeds=" in page.url
        page.get_by_role("slider", name="Before and after").fill("20")
        assert page.locator(".compare").evaluate("node => node.style.getPropertyValue('--cut')") == "20%"
        expect(page.locator(".caution")).to_contain_text("invented, not recovered")


def test_a_dropped_picture_of_ours_is_restored(studio: Open, address: str) -> None:
    """The recipe inside the file brings model, seed and truncation back."""
    body = {"model": "tiny", "seed": 77, "truncation": 0.5}
    data = httpx.post(f"{address}/sample", json=body, headers={"Accept": "image/png"}).content
    drop = """text => {
      const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0)), transfer = new DataTransfer();
      transfer.items.add(new File([bytes], "found.png", { type: "image/png" }));
      document.querySelector("main").dispatchEvent(new DragEvent("drop", { bubbles: true, dataTransfer: transfer }));
    }"""
    with studio() as page:
        visit(page)
        seeds(page)
        page.evaluate(drop, base64.b64encode(data).decode())
        page.get_by_role("button", name="Restore").click()
        expect(page.locator("#sheet .tile")).to_have_count(1)
        shown = picture(page.locator("#sheet img").get_attribute("src"))
        assert np.array_equal(shown, np.asarray(Image.open(io.BytesIO(data))))


def test_a_job_ends_with_pictures(studio: Open) -> None:
    """A job started here shows its result when it is done."""
    with studio() as page:
        visit(page, "jobs")
        page.get_by_label("How many pictures").fill("20")
        page.get_by_role("button", name="Start a job").click()
        page.get_by_role("button", name="Show").first.click()
        expect(page.locator("#job-result .tile")).to_have_count(20)


def test_a_waiting_job_is_canceled(studio: Open, address: str) -> None:
    """The last of a long queue says its place and can be canceled before it has begun."""
    many = {"json": {"model": "tiny-lapgan", "n": 1024}, "headers": {"Prefer": "respond-async"}}
    with httpx.Client(base_url=address) as client:
        waiting = [client.post("/sample", **many).json()["id"] for _ in range(40)]
        try:
            with studio() as page:
                visit(page, "jobs")
                last = page.locator(".job").first
                expect(last).to_contain_text("in the queue")
                last.get_by_role("button", name="Cancel").click()
                expect(last).to_contain_text("canceled")
        finally:
            for job in waiting:
                client.post(f"/jobs/{job}/cancel")


def test_copied_requests_make_the_same_picture(studio: Open, tmp_path: Path) -> None:
    """curl, Python and the command line, as copied, each make the picture that the page shows."""
    with studio() as page:
        visit(page, "sample?model=tiny-labels&seed=42&n=1&truncation=0.8&label=green")
        shown = picture(page.locator("#sheet img").get_attribute("src"))
        copied = {}
        for name in ("curl", "Python", "CLI", "link"):
            page.locator(".copy").get_by_role("button", name=name, exact=True).click()
            expect(page.locator("#live")).to_have_text(f"{name} copied")
            copied[name] = page.evaluate("navigator.clipboard.readText()")
        assert copied["link"] == page.url
    commands = {
        "curl": shlex.split(copied["curl"]),
        "Python": [sys.executable, "-c", copied["Python"]],
        "CLI": [sys.executable, "-m", "service.cli", *shlex.split(copied["CLI"])[1:]],
    }
    for name, command in commands.items():
        folder = tmp_path / name
        folder.mkdir()
        done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert np.array_equal(np.asarray(Image.open(folder / "sheet.png")), shown), name


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
