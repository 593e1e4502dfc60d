"""Shelf and equation: dragged cards, sliders with locks, the result of the API, keyboard from end to end."""

import io
import re

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.end_to_end.studio.page import Open, picture, save_latents, seeds, visit


def test_every_flow_by_keyboard(studio: Open) -> None:
    """From new seeds over the shelf to a step through the neighbourhood without touching the mouse."""
    with studio() as page:
        visit(page, "sample?model=tiny-lapgan&seed=5&n=9")
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
        expect(page.locator(".expression")).to_have_text('"tiny-lapgan-7" - "tiny-lapgan-6" + "tiny-lapgan-5"')
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
    save_latents(address, "tiny-labels", 11, 12)
    with studio() as page:
        visit(page, "shelf?model=tiny-labels&A=card-11&B=card-12")
        image = page.locator(".result img")
        image.wait_for()
        body = {"model": "tiny-labels", "expression": page.locator(".expression").inner_text()}
        answer = httpx.post(f"{address}/arithmetic", json=body, headers={"Accept": "image/png"})
        assert np.array_equal(picture(image.get_attribute("src")), np.asarray(Image.open(io.BytesIO(answer.content))))


def test_cards_are_dragged_into_stacks(studio: Open, address: str) -> None:
    """A card let go over B is subtracted; the stack says how many more make it steadier; a click takes it out."""
    save_latents(address, "tiny-labels", 11, 12)
    with studio() as page:
        visit(page, "shelf?model=tiny-labels&A=card-11")
        card = page.locator("#cards button[aria-label^='card-12']")
        card.drag_to(page.locator(".stack").nth(1))
        expect(page.locator(".expression")).to_have_text('"card-11" - "card-12"')
        expect(page.locator(".stack").nth(1)).to_contain_text("add two more for a steadier result")
        page.get_by_role("button", name="Remove card-12 from B").click()
        expect(page.locator(".expression")).to_have_text('"card-11"')


def test_directions_are_sliders_with_locks(studio: Open, address: str) -> None:
    """Keep B → A as a direction, move along it and see another picture; a new direction leaves a locked one still."""
    save_latents(address, "tiny-labels", 11, 12, 13)
    with studio() as page:
        visit(page, "shelf?model=tiny-labels&A=card-11&B=card-12")
        page.get_by_role("button", name="Keep B → A as a direction").click()
        dial = page.locator(".dial", has_text="direction-").first
        slider = dial.get_by_role("slider")
        name = dial.locator("label").inner_text()
        before = page.locator(".result img").get_attribute("src")
        slider.fill("1.5")
        expect(page.locator(".expression")).to_contain_text(f'+ 1.5 * dir("{name}")')
        page.wait_for_function("old => document.querySelector('.result img').src !== old", arg=before)
        dial.get_by_role("button", name="Lock").click()
        expect(dial.get_by_role("button", name="Lock")).to_have_attribute("aria-pressed", "true")
        page.get_by_role("button", name="Remove card-12 from B").click()
        page.locator(".stack-name").nth(1).click()
        page.locator("#cards button[aria-label^='card-13']").focus()
        page.keyboard.press("-")
        page.get_by_role("button", name="Keep B → A as a direction").click()
        expect(page.locator(".dial", has_text="direction-")).to_have_count(2)
    made = httpx.get(f"{address}/directions?model=tiny-labels").json()["data"]
    assert made[0]["notes"]["orthogonal_to"] == [name]
    vectors = [httpx.get(f"{address}/directions/{row['name']}").json()["values"] for row in made[:2]]
    assert abs(float(np.dot(*map(np.asarray, vectors)))) < 1e-3
