"""The table of docs/save-files.md from the command line: each operation in each format, made again by another server."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.end_to_end import command
from tests.end_to_end.processes import environment, running

OPERATIONS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "sample": (["sample", "-m", "tiny", "--seed", "4"], ("png", "webp", "jpg", "zip", "npz")),
    "sheet": (
        ["sample", "-m", "tiny-labels", "-n", "5", "--seed", "4", "--scale", "2"],
        ("png", "webp", "jpg", "zip", "npz"),
    ),
    "arithmetic": (["arithmetic", "kept - seed(2) + seed(3)", "-m", "tiny"], ("png", "webp", "jpg")),
    "walk": (["walk", "1", "kept", "3", "-m", "tiny", "--frames", "5"], ("png", "webp", "jpg", "gif")),
    "upsample": (["upsample", "photo.png", "-m", "tiny-lapgan", "--seed", "2"], ("png", "webp", "jpg")),
    "project": (["project", "photo.png", "-m", "tiny", "--steps", "10", "--restarts", "1"], ("png", "webp", "jpg")),
}


def test_another_server_makes_the_same(bundle_folder: Path, tmp_path: Path) -> None:
    """`ganymede redo` from the files alone, whatever made them; with `--metadata none` it says that there is no recipe."""
    photo = np.random.RandomState(0).randint(0, 256, (24, 20, 3)).astype(np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    for folder in ("saves", "bare", "another"):
        (tmp_path / folder).mkdir()

    def run(url: str, *words: str) -> tuple[int, str, str]:
        done = command.execute(words, tmp_path, environment(tmp_path, GANYMEDE_URL=url))
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    with running(tmp_path, bundle_folder) as (_, first):
        assert run(first, "latents", "save", "kept", "--seed", "7", "-m", "tiny")[0] == 0
        for name, (words, formats) in OPERATIONS.items():
            for kind in formats:
                assert run(first, *words, "-o", f"saves/{name}.{kind}")[0] == 0, (name, kind)
                bare = f"bare/{name}.{kind}"
                assert run(first, *words, "--metadata", "none", "-o", bare)[0] == 0, (name, kind)
                code, _, stderr = run(first, "info", bare)
                assert (code, "no Ganymede recipe" in stderr) == (1, True), (name, kind)
    with running(tmp_path / "another", bundle_folder) as (_, second):
        code, answer, stderr = run(second, "redo", "saves", "--source", "photo.png", "-o", "again", "--json")
    assert code == 0, stderr
    same = {Path(row["file"]).name: row["same"] for row in json.loads(answer)["made"]}
    assert same == {f"{name}.{kind}": True for name, (_, formats) in OPERATIONS.items() for kind in formats}
