"""The watch over what tests read: a test that needs a file beside the repository must fail everywhere, not only in a clone."""

import os
from pathlib import Path

from tests.conftest import WATCH
from tests.standing_alone import ROOT, is_outside


def test_a_neighbour_of_the_repository_is_outside(tmp_path: Path) -> None:
    """What is ours, temporary or installed is inside; the folder the repository lies in is not."""
    assert not is_outside(ROOT / "README.md")
    assert not is_outside("README.md")
    assert not is_outside(tmp_path / "made.txt")
    assert not is_outside(Path(os.__file__))
    assert not is_outside(3)
    assert not is_outside("/nowhere/at/all")
    assert is_outside("/")


def test_what_is_opened_outside_is_noticed_once() -> None:
    """Reading a file of ours goes unseen; listing a folder outside would fail this test, had it not asked first."""
    (ROOT / "README.md").read_bytes()
    assert WATCH.taken() == []
    os.listdir("/")
    assert WATCH.taken() == ["/"]
    assert WATCH.taken() == []
