"""Sample: a finished sheet, an address that brings it back, requests to copy, pictures of ours restored."""

import io
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.end_to_end.processes import environment
from tests.end_to_end.studio.page import Open, drop, picture, seeds, visit


def test_opens_with_a_finished_sheet_that_its_address_brings_back(studio: Open) -> None:
    """Pictures without a click; dice, steps and lock change the seed; the address shows the same sheet elsewhere."""
    with studio() as page:
        visit(page)
        first = seeds(page)
        assert len(first) == 24
        assert page.locator("#sheet img").evaluate_all("all => all.every(i => i.complete && i.naturalWidth === 16)")
        page.get_by_role("button", name="New seeds").click()
        page.wait_for_function(f"() => !location.hash.includes('seed={first[0]}&')")
        page.get_by_role("button", name="One seed up").click()
        page.wait_for_timeout(300)
        shown, link = seeds(page), page.url
        page.get_by_role("button", name="Lock the seed").click()
        expect(page.get_by_role("button", name="New seeds")).to_be_disabled()
    with studio() as page:
        page.goto(link)
        assert seeds(page) == shown != first


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


def test_a_dropped_picture_of_ours_is_restored(studio: Open, address: str) -> None:
    """The recipe inside the file brings model, seed and truncation back; its latent can go on the shelf."""
    body = {"model": "tiny", "seed": 77, "truncation": 0.5}
    data = httpx.post(f"{address}/sample", json=body, headers={"Accept": "image/png"}).content
    with studio() as page:
        visit(page)
        seeds(page)
        drop(page, data)
        page.get_by_role("button", name="Restore").click()
        expect(page.locator("#sheet .tile")).to_have_count(1)
        shown = picture(page.locator("#sheet img").get_attribute("src"))
        assert np.array_equal(shown, np.asarray(Image.open(io.BytesIO(data))))
        drop(page, data)
        page.get_by_role("button", name="Put its latent on the shelf").click()
        card = page.locator("#cards .tile button[aria-label^='restored-']")
        expect(card).to_have_count(1)
        page.wait_for_function("() => document.querySelector('#cards img')?.naturalWidth === 16")
        assert np.array_equal(picture(card.locator("img").get_attribute("src")), shown)
