"""The commands around a small run: each says what it made, one JSON document with --json, and shows nothing else on stdout."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end import command
from tests.end_to_end.processes import ROOT, environment
from tests.training.pictures import CLASSES, make_pictures, tiny_overrides

Answer = Callable[..., Any]


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """`answer("preview", …)`: what `ganymede preview … --json` says, in a folder with pictures, a run and its bundle."""
    folder = tmp_path_factory.mktemp("commands")

    def run(*words: str) -> Any:
        done = command.execute((*words, "--json"), folder, environment(folder))
        assert done.returncode == 0, done.stderr.decode()
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return found[0] if len(found) == 1 else found

    pictures = make_pictures(folder / "pictures", count=60)
    with open(pictures / "attributes.csv", "w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("file", "round", "person"))
        rows.writerows((f"{name}/{k:03d}.png", int(name == "disc"), k) for name in CLASSES for k in range(60))
    run("train", "dcgan-modern", *tiny_overrides(pictures, run__steps=2), "--run", "run")
    run("export", "run", "--name", "small")
    return run


def test_a_classifier_is_trained_and_judges(answer: Answer) -> None:
    """Of a run's own recipe; its bundle is judged by it."""
    trained = answer("classifier", "train", "run/recipe.toml", "--epochs", "1", "--out", "judge.safetensors")
    assert (trained["file"], trained["test_pictures"]) == ("judge.safetensors", 120)
    assert 0 <= trained["accuracy"] <= 1
    found = answer("classifier", "agreement", "bundles/small", "--classifier", "judge.safetensors", "--count", "20")
    assert 0 <= found["agreement"] <= 1
    assert "20 samples" in found["protocol"]


def test_looking_inside(answer: Answer) -> None:
    """Sheets of what features see, and what a linear machine makes of them."""
    sheets = answer("inside", "guided", "bundles/small", "--count", "20")
    assert list(sheets) == ["guided.png", "guided-random.png"]
    assert all(len(maps) == 6 for maps in sheets.values())
    rows = answer("inside", "features", "bundles/small", "--train", "100", "--test", "100")
    assert [row["of"] for row in rows] == ["trained network", "random network", "raw pixels"]


def test_directions_are_learned_and_nothing_is_forgotten(answer: Answer) -> None:
    """From few pictures, too; a dry run leaves the bundle as it is. What cannot be forgotten is said in a sentence."""
    words = ("directions", "learn", "bundles/small", "--attributes", "pictures/attributes.csv", "--name", "round")
    learned = answer(*words, "--samples", "1000", "--epochs", "1", "--classifier", "round.safetensors", "--dry-run")
    assert learned["directions"] == ["round"]
    with pytest.raises(AssertionError, match="draws what its label says"):
        answer("inside", "forget", "bundles/small", "--classifier", "round.safetensors", "--attribute", "round")
    plain = tiny_overrides(Path("pictures"), run__steps=2, data__labels="none")
    answer("train", "dcgan-modern", *plain, "--run", "plain")
    answer("export", "plain", "--name", "plain")
    words = ("inside", "forget", "bundles/plain", "--classifier", "round.safetensors", "--attribute", "round")
    with pytest.raises(AssertionError, match="no map tells them apart"):  # two steps of training: all are alike
        answer(*words, "--samples", "100", "--maps", "1")


def test_storing_and_showing(answer: Answer) -> None:
    """A preview, TorchScript, compacted weights, a comparison."""
    assert answer("preview", "bundles/small") == {"file": "preview.png"}
    assert answer("models", "torchscript", "bundles/small")["folder"] == "small-torchscript"
    assert answer("models", "compact", "bundles/small", "--weights", "float16")[0]["bundle"].startswith("small@")
    assert answer("dataset", "check", "pictures", "--size", "16")["pictures"] == 120


def test_a_command_does_not_wait_for_what_others_measure_with() -> None:
    """Metrics and statistics take longer to import than torch: only what uses them does."""
    line = "import sys, training.cli.main; print([m for m in ('torchmetrics', 'sklearn', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, cwd=ROOT).stdout == "[]\n"
