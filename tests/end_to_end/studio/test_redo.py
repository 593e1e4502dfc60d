"""A save file dropped on the studio is made again; and what a browser keeps of one when it saves a picture."""

import base64
import io

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from save_files import read_recipe
from tests.end_to_end.studio.page import Open, drop, photograph, visit

CANVAS = """async ([address, type]) => {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
  canvas.getContext("2d").drawImage(image, 0, 0);
  const bytes = new Uint8Array(await (await new Promise((done) => canvas.toBlob(done, type))).arrayBuffer());
  return btoa(String.fromCharCode(...bytes));
}"""
FETCHED = """async (address) =>
  btoa(String.fromCharCode(...new Uint8Array(await (await fetch(address)).arrayBuffer())))"""


def redone(page: Page) -> bytes:
    """What the page shows, as a PNG of the same pixels: its rules let no script fetch a blob."""
    address = page.locator("#redone img").get_attribute("src")
    return base64.b64decode(page.evaluate(CANVAS, [address, "image/png"]))


@pytest.mark.parametrize("media", ["image/png", "image/webp", "image/jpeg", "image/gif"])
def test_a_dropped_save_file_is_made_again(studio: Open, address: str, media: str) -> None:
    """A walk with saved latents, in each format: its recipe is read in the page, and the pixels are the same."""
    body = {"model": "tiny", "stops": [1, "seed(2) - seed(3)", 4], "frames": 5}
    data = httpx.post(f"{address}/interpolate", json=body, headers={"Accept": media}).content
    with studio() as page:
        visit(page)
        drop(page, data)
        page.get_by_role("button", name="Make it again").click()
        shown = np.asarray(Image.open(io.BytesIO(redone(page))).convert("RGB"))
        wanted = data if media == "image/png" else httpx.post(f"{address}/interpolate", json=body).content
        assert np.array_equal(shown, np.asarray(Image.open(io.BytesIO(wanted)).convert("RGB")))


def test_a_sharpened_one_asks_for_its_source(studio: Open, address: str) -> None:
    """The wrong picture is refused with both digests, the right one gives the same file."""
    photo = photograph()
    query: dict[str, str | int] = {"model": "tiny-lapgan", "seed": 3}
    made = httpx.post(f"{address}/upsample", params=query, content=photo, headers={"Accept": "image/png"}).content
    with studio(expected="422") as page:
        visit(page)
        drop(page, made)
        field = page.locator("#redo-source")
        field.set_input_files({"name": "wrong.png", "mimeType": "image/png", "buffer": made})
        page.get_by_role("alert").filter(has_text="SHA-256").wait_for()
        field.set_input_files({"name": "photo.png", "mimeType": "image/png", "buffer": photo})
        shown = np.asarray(Image.open(io.BytesIO(redone(page))).convert("RGB"))
        assert np.array_equal(shown, np.asarray(Image.open(io.BytesIO(made)).convert("RGB")))


@pytest.mark.parametrize("kind", ["png", "webp", "jpeg"])
def test_what_a_browser_keeps(studio: Open, address: str, kind: str) -> None:
    """docs/save-files.md: the file as it was sent has its recipe, what a canvas saves has none."""
    with studio() as page:
        visit(page)
        place = f"{address}/images/tiny/7.{kind}"
        assert read_recipe(base64.b64decode(page.evaluate(FETCHED, place))) is not None
        assert read_recipe(base64.b64decode(page.evaluate(CANVAS, [place, f"image/{kind}"]))) is None
