"""The studio over a generator of the user's own, as `ganymede serve FILE` opens it."""

from pathlib import Path

import torch
from playwright.sync_api import Browser, expect

from tests.end_to_end.browser import guarded
from tests.end_to_end.processes import running
from tests.end_to_end.studio.page import picture, seeds, visit
from tests.models.imports.generators import CLASSES, mlp


def test_a_file_of_the_users_own(browser: Browser, bundle_folder: Path, tmp_path: Path) -> None:
    """It is among the models, its classes can be chosen by name, and its pictures are those of that class."""
    torch.save(mlp(CLASSES).state_dict(), tmp_path / "my generator.pth")
    words = (str(tmp_path / "my generator.pth"), "--labels", "shirt,shoe,bag,hat,coat")
    with (
        running(tmp_path, bundle_folder, *words, GANYMEDE_THREADS="1") as (_, address),
        guarded(browser, address) as page,
    ):
        visit(page, "models")
        expect(page.get_by_text("my-generator").first).to_be_visible()
        shown = []
        for label in ("shoe", "hat"):
            visit(page, f"sample?model=my-generator&seed=3&n=1&label={label}")
            expect(page.locator("#sheet:not(.busy) .tile img")).to_have_count(1)
            assert seeds(page) == [3]
            shown.append(picture(page.locator("#sheet img").get_attribute("src")))
        assert shown[0].shape == (14, 14)
        assert (shown[0] != shown[1]).any()
