"""Debian's Chromium for the tests, with a guard: no foreign request, no error in the console, no violated policy."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Route, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """One headless browser; it keeps nothing and calls nobody by itself."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, "--disable-sync"], timeout=120_000)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def guarded(browser: Browser, address: str, expected: str = "", **options: Any) -> Iterator[Page]:
    """A page in a context of its own. What it does wrong fails the test at the end, but for an `expected` message."""
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900}, **options)
    if address.startswith("http"):  # a file has no origin that could be allowed anything
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
    home, wrongs = urlsplit(address).netloc, []

    def hear(said: ConsoleMessage) -> None:
        if said.type == "error" and not (expected and expected in said.text):
            wrongs.append(f"console: {said.text}")

    def check(route: Route) -> None:
        asked = urlsplit(route.request.url)
        if asked.scheme in {"http", "https"} and asked.netloc != home:
            wrongs.append(f"foreign request: {route.request.url}")
            route.abort()
        else:
            route.continue_()

    context.route("**/*", check)
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.on("pageerror", lambda error: wrongs.append(f"error: {error}"))
    page.on("console", hear)
    try:
        yield page
        assert not wrongs, "\n".join(wrongs)
        assert context.cookies() == []
    except BaseException as error:
        error.add_note("the page said: " + ("; ".join(wrongs) or "nothing"))
        raise
    finally:
        context.close()
