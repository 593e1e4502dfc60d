"""Long loops of a command: a bar with time left on a terminal, lines in a pipe, nothing where nobody watches."""

import io

import pytest
from rich.console import Console

from models.counting import counted, showing, tell


def run(parts: int, seconds_each: float, now: list[float]) -> list[int]:
    done = []
    for part in counted(range(parts), "batches", parts):
        now[0] += seconds_each
        done.append(part)
    return done


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [0.0]
    monkeypatch.setattr("models.counting.time.monotonic", lambda: clock[0])
    return clock


def test_a_pipe_gets_a_line_after_a_second_and_each_fifth(now: list[float]) -> None:
    """With what is done, of how many, and how long the rest takes."""
    said = io.StringIO()
    with showing(Console(file=said), "scoring"):
        assert run(10, 1.0, now) == list(range(10))
    assert said.getvalue().splitlines() == ["batches: 1 of 10, 9 s left", "batches: 6 of 10, 4 s left"]


def test_a_terminal_gets_a_bar(now: list[float]) -> None:
    """And the line of what is going on above it."""
    shown = io.StringIO()
    with showing(Console(file=shown, force_terminal=True, width=100), "scoring"):
        tell("batches", 2, 3)
    assert "scoring" in shown.getvalue()
    assert "2/3" in shown.getvalue()


def test_nobody_watches(now: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """A library's caller, or --quiet: the parts alone."""
    assert run(3, 9.0, now) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")
