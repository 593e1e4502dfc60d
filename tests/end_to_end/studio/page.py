"""What the studio's tests do with a page: visit a view, read seeds and pixels, drop and paste files."""

import base64
import io
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import axe_playwright_python
import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

AXE = next(Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")).read_text()
VIEWS = ("sample", "shelf", "walk?stops=1,2", "sharpen", "jobs", "models", "training")
Open = Callable[..., AbstractContextManager[Page]]
expect.set_options(timeout=20_000)

HAND_OVER = """([kind, name, text]) => {
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0)), transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/png" }));
  const event = kind === "drop" ? new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: transfer })
    : new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: transfer });
  document.querySelector("main").dispatchEvent(event);
}"""


def visit(page: Page, hash_: str = "sample") -> None:
    """Open a view and wait until it is drawn, or a dialog is in its way."""
    page.goto(f"/#{hash_}")
    page.locator("main > :not(.loading), .dialog").first.wait_for()


def seeds(page: Page) -> list[int]:
    """The seeds of the sheet in order."""
    page.locator("#sheet:not(.busy) .tile img").first.wait_for()
    return [int(text.split()[-1]) for text in page.locator("#sheet .caption").all_inner_texts()]


def picture(source: str | None) -> Any:
    """Pixels of a data: URL."""
    assert source is not None
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",", 1)[1]))))


def said(page: Page, text: Any) -> None:
    """What a screen reader hears or, where a result has come since and is heard after it, the notice still shows."""
    whole = re.compile(rf"^\s*{re.escape(text)}\s*$") if isinstance(text, str) else text
    expect(page.locator("#live, .toast").filter(has_text=whole)).not_to_have_count(0)


def drop(page: Page, data: bytes, name: str = "photo.png") -> None:
    """A file let go over the page."""
    page.evaluate(HAND_OVER, ["drop", name, base64.b64encode(data).decode()])


def paste(page: Page, data: bytes, name: str = "photo.png") -> None:
    """A file from the clipboard."""
    page.evaluate(HAND_OVER, ["paste", name, base64.b64encode(data).decode()])


def photograph(side: int = 40) -> bytes:
    """A PNG of random colours."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def save_latents(address: str, model: str, *numbers: int) -> None:
    """Cards `card-<seed>` on the shelf."""
    for seed in numbers:
        body = {"name": f"card-{seed}", "model": model, "from": {"seed": seed}, "replace": True}
        assert httpx.post(f"{address}/latents", json=body).status_code == 201
