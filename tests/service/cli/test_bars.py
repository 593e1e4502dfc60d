"""Progress in a pipe: a line after a second, honest about pace and time left."""

import time

import pytest

from service.cli import bars


def test_what_was_done_before_does_not_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A set that is gone on with: 100 pictures in two seconds are 50 a second, however many there were."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.delenv("GANYMEDE_QUIET", raising=False)
    with bars.bar("sample", 1000, "pictures", done=800) as shown:
        now[0] = 0.5
        shown.advance(25)
        assert capsys.readouterr().err == ""
        now[0] = 2.0
        shown.advance(75)
    assert capsys.readouterr().err == "sample: 900 of 1000 pictures, 50.0/s, 2 s left\n"


def test_a_quiet_one_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Bars and marks alike."""
    monkeypatch.setenv("GANYMEDE_QUIET", "1")
    monkeypatch.setattr(bars, "FIRST_LINE_S", 0.0)
    with bars.bar("sample", 10, "pictures") as shown, bars.working("importing"):
        shown.advance(10)
    assert capsys.readouterr() == ("", "")
