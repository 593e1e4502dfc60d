"""Whole folders from the command line: 200 mixed files, some broken, through every command that takes files."""

import io
import json
import random
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from save_files import read_recipe
from service.cli.config import login_for
from tests.end_to_end import command
from tests.end_to_end.processes import environment, running

BROKEN = ["cut.png", "text.jpg", "empty.webp", "sub/noise.gif", "sub/deep/page.png"]
Command = Callable[..., "Done"]


@pytest.fixture(scope="module")
def address(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("many")
    with running(folder, bundle_folder, GANYMEDE_DEFAULT_MODEL="tiny", GANYMEDE_QUEUE_PICTURES="64") as (_, found):
        yield found


@pytest.fixture
def run(address: str, tmp_path: Path) -> Command:
    """`run("info", "a.png")` in a folder of its own, against the server; as `exit_code`, `stdout` and `stderr`."""

    def execute(*words: object, input: bytes | None = None, **more: str) -> Done:
        settings = environment(tmp_path, GANYMEDE_URL=address, GANYMEDE_CLIENT_CONFIG=str(tmp_path / "client.toml"))
        return Done(command.execute(tuple(map(str, words)), tmp_path, {**settings, **more}, input))

    return execute


class Done:
    """What a command wrote, and its exit code."""

    def __init__(self, done: "subprocess.CompletedProcess[bytes]") -> None:
        self.exit_code, self.stdout_bytes = done.returncode, done.stdout
        self.stdout, self.stderr = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
        self.output = self.stdout + self.stderr


MODES = {
    "png": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
    "jpg": ("RGB", "L", "CMYK"),
    "webp": ("RGB", "RGBA"),
    "gif": ("P",),
    "bmp": ("RGB", "L", "P"),
    "tiff": ("RGB", "CMYK", "I;16", "RGBA"),
}
"""What stands in the files of each ending."""


def picture(number: int, mode: str = "RGB") -> Image.Image:
    colours = np.random.RandomState(number).randint(0, 256, (20, 16 + number % 7, 3)).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray(colours[:, :, 0].astype(np.uint16) * 257)
    return Image.fromarray(colours).convert(mode)


@pytest.fixture(scope="module")
def mixed(address: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 files in three levels of folders: pictures of six formats in all modes, five broken files, two that are not meant."""
    folder = tmp_path_factory.mktemp("pictures") / "pics"
    (folder / "sub" / "deep").mkdir(parents=True)
    kinds = ["png", "jpg", "webp", "gif", "bmp", "tiff"]
    for k in range(193):
        place = folder / ("", "sub", "sub/deep")[k % 3]
        kind = kinds[k % 6]
        picture(k, MODES[kind][k // 6 % len(MODES[kind])]).save(place / f"p{k:03d}.{kind}")
    good = (folder / "p000.png").read_bytes()
    for name, data in zip(
        BROKEN, [good[:60], b"not a picture", b"", b"GIF89a" + random.Random(1).randbytes(99), b"<html>"], strict=True
    ):
        (folder / name).write_bytes(data)
    (folder / "notes.txt").write_text("not meant")
    (folder / ".hidden.png").write_bytes(good)
    (folder / "folder.png").mkdir()
    assert sum(path.is_file() for path in folder.rglob("*")) == 200
    return folder


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def interrupted(folder: Path, address: str, *words: object) -> int:
    """A command in a process of its own gets Ctrl-C in the middle; how many files it had made, each of them whole."""
    line = [sys.executable, "-m", "service.cli", *map(str, words)]
    settings = environment(folder, GANYMEDE_URL=address)
    with subprocess.Popen(line, cwd=folder, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while process.poll() is None and len(files_of(folder / "up")) < 5:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=200)[1].decode()
    assert process.returncode == 130, stderr
    assert "the same command goes on" in stderr
    for name in files_of(folder / "up"):
        with Image.open(folder / "up" / name) as made:
            made.load()
    return len(files_of(folder / "up"))


def test_upsample_a_folder(run: Command, address: str, mixed: Path, tmp_path: Path) -> None:
    """Interrupted and gone on with; names and sub-folders stay; broken files are named at the end, exit code 1."""
    words = ("upsample", mixed, "-r", "-o", "up", "-m", "tiny-lapgan", "--seed", 1, "--json")
    done = interrupted(tmp_path, address, *words, "--jobs", 1)
    assert 0 < done < 193
    rest = run(*words, "--jobs", 4)
    assert rest.exit_code == 1, rest.output
    for name in BROKEN:
        assert str(mixed / name) in rest.stderr
    assert "5 of 198 files failed" in rest.stderr
    report = json.loads(rest.stdout)
    assert (len(report["made"]), report["skipped"], len(report["failed"])) == (193 - done, done, 5)
    assert len(files_of(tmp_path / "up")) == 193
    assert {"p000.png", "sub/p001.png", "sub/deep/p002.png"} <= files_of(tmp_path / "up")
    before = {name: (tmp_path / "up" / name).stat().st_mtime_ns for name in files_of(tmp_path / "up")}
    (tmp_path / "up" / "p000.png").unlink()
    again = json.loads(run(*words).stdout)
    assert (len(again["made"]), again["skipped"]) == (1, 192)
    kept = {name: (tmp_path / "up" / name).stat().st_mtime_ns for name in before if name != "p000.png"}
    assert kept.items() <= before.items()
    redone = run("redo", "up", "-r", "--source", mixed, "-o", "again", "--json")
    assert redone.exit_code == 0, redone.output
    assert all(row["same"] for row in json.loads(redone.stdout)["made"])
    lost = run("redo", "up/p000.png", "-o", "lost.png")
    assert lost.exit_code == 1
    assert (read_recipe((tmp_path / "up" / "p000.png").read_bytes()) or {})["input"] in lost.stderr


def test_info_redo_and_classify_a_folder(run: Command, mixed: Path, tmp_path: Path) -> None:
    """Each says what it can of every file and names the others."""
    (tmp_path / "saves").mkdir()
    for suffix in ("png", "webp", "jpg", "npz", "zip"):
        assert run("sample", "-n", 3, "--seed", 5, "-o", f"saves/s.{suffix}").exit_code == 0
    assert run("walk", 1, 2, "-m", "tiny", "--frames", 4, "-o", "saves/w.webp").exit_code == 0
    assert run("walk", 1, 2, "-m", "tiny", "--frames", 4, "-o", "saves/w.gif").exit_code == 0
    told = run("info", "saves", "--json")
    assert told.exit_code == 0, told.output
    assert len(json.loads(told.stdout)) == 6 + 3
    redone = run("redo", "saves", "-o", "again", "--json")
    assert redone.exit_code == 0, redone.output
    assert {Path(row["file"]).name: row["same"] for row in json.loads(redone.stdout)["made"]} == dict.fromkeys(
        ["s.jpg", "s.npz", "s.png", "s.webp", "s.zip", "w.gif", "w.webp"], True
    )
    foreign = run("info", mixed, "-r")
    assert foreign.exit_code == 1
    assert f"{mixed / 'p000.png'}: carries no Ganymede recipe" in foreign.stderr
    rows = run("classify", mixed, "-r", "-o", "judged.ndjson", "--jobs", 4, "--quiet")
    assert rows.exit_code == 1
    assert rows.stdout == ""
    judged = [json.loads(line) for line in (tmp_path / "judged.ndjson").read_text().splitlines()]
    assert len({row["file"] for row in judged}) == 193
    assert all(0 <= row["p_real"] <= 1 for row in judged)
    (tmp_path / "judged.ndjson").write_bytes(
        (tmp_path / "judged.ndjson").read_bytes()[:-20]
    )  # as an interrupt leaves it
    assert json.loads(run("classify", mixed, "-r", "-o", "judged.ndjson", "--json").stdout)["rows"] == 1
    features = run("features", mixed, "-o", "features.ndjson", "--jobs", 4)
    assert features.exit_code == 1
    assert all(
        len(json.loads(line)["features"]) == 8 for line in (tmp_path / "features.ndjson").read_text().splitlines()
    )


def test_archives_cut_short_and_empty_files_stop_nothing(run: Command, tmp_path: Path) -> None:
    """An interrupted download of a zip or npz is one line at the end, among the sources too."""
    (tmp_path / "saves").mkdir()
    for suffix in ("png", "npz", "zip"):
        run("sample", "-n", 3, "--seed", 5, "-o", f"saves/s.{suffix}")
        (tmp_path / f"saves/cut.{suffix}").write_bytes((tmp_path / f"saves/s.{suffix}").read_bytes()[:60])
    (tmp_path / "saves/empty.png").touch()
    redone = run("redo", "saves", "--source", "saves", "-o", "again")
    assert redone.exit_code == 1
    assert files_of(tmp_path / "again") == {"s.png", "s.npz", "s.zip"}
    assert "saves/cut.zip: the zip file is damaged" in redone.stderr
    assert "saves/empty.png: is empty" in redone.stderr
    assert "4 of 7 files failed" in redone.stderr


def test_project_a_folder(run: Command, tmp_path: Path) -> None:
    """Every picture's nearest one, which carries the latent; a broken file stops nothing."""
    (tmp_path / "in").mkdir()
    names = {"RGB": "0.png", "RGBA": "1.webp", "I;16": "2.png", "CMYK": "3.jpg"}
    for k, (mode, name) in enumerate(names.items()):
        picture(k, mode).save(tmp_path / "in" / name)
    (tmp_path / "in" / "broken.png").write_bytes(b"no")
    (tmp_path / "in" / "cut.png").write_bytes((tmp_path / "in" / "0.png").read_bytes()[:200])
    done = run("project", "in", "-m", "tiny", "--steps", 10, "--restarts", 1, "-o", "found", "--json")
    assert done.exit_code == 1
    assert "broken.png" in done.stderr
    assert re.search(
        r"in/cut.png: job \w+ failed: Invalid value: the PNG cannot be decoded: [a-z ]+$", done.stderr, re.M
    )
    assert files_of(tmp_path / "found") == {"0.png", "1.png", "2.png", "3.png"}
    redone = json.loads(run("redo", "found", "-o", "again", "--json").stdout)
    assert [row["same"] for row in redone["made"]] == [True] * 4


def test_pipes(run: Command, tmp_path: Path) -> None:
    """`-` reads and writes the standard streams, and nothing else is said on stdout."""
    data = io.BytesIO()
    picture(1).save(data, "JPEG")
    sharp = run("upsample", "-", "-m", "tiny-lapgan", "--seed", 2, "-o", "-", input=data.getvalue())
    assert sharp.exit_code == 0, sharp.output
    assert "-" not in sharp.stderr.splitlines(), "where it went is known"
    assert Image.open(io.BytesIO(sharp.stdout_bytes)).size == (32, 32)
    sampled = run("sample", "-m", "tiny", "--seed", 2, "-o", "-")
    told = run("info", "-", "--json", input=sampled.stdout_bytes)
    assert json.loads(told.stdout)["seed"] == 2
    assert run("redo", "-", input=sampled.stdout_bytes).stdout_bytes == sampled.stdout_bytes
    assert json.loads(run("classify", "-", "--json", input=sampled.stdout_bytes).stdout)["file"] == "-"


@pytest.mark.parametrize("out", ["set", "set.zip", "set.npz"])
def test_any_number(run: Command, tmp_path: Path, out: str) -> None:
    """More than one request may ask for, interrupted and gone on with; the seeds are those asked for, in order."""
    request = ("sample", "-m", "tiny-labels", "-n", 1100, "--seed", 4_294_967_000, "-o", out)
    made = run(*request, "--json")
    assert made.exit_code == 0, made.output
    seeds = [(4_294_967_000 + k) % 2**32 for k in range(1100)]
    if out == "set":
        names = sorted(files_of(tmp_path / out))
        assert names == [f"{k:04d}-{seed}.png" for k, seed in enumerate(seeds)]
        (tmp_path / out / names[700]).unlink()
        assert run(*request).exit_code == 0
        assert read_recipe((tmp_path / out / names[700]).read_bytes())["seed"] == seeds[700]  # type: ignore[index]
    elif out == "set.zip":
        with zipfile.ZipFile(tmp_path / out) as archive:
            assert archive.namelist() == [f"{seed}.png" for seed in seeds]
            assert read_recipe(archive.read("3.png"))["seed"] == 3  # type: ignore[index]
    else:
        with np.load(tmp_path / out) as arrays:
            assert (arrays["images"].shape, arrays["seeds"].tolist()) == ((1100, 16, 16, 3), seeds)
        assert json.loads(run("redo", out, "-o", "again.npz", "--json").stdout)["made"][0]["same"]
    assert not (tmp_path / f"{out}.parts").exists()


def test_a_set_goes_on_where_it_was_interrupted(run: Command, tmp_path: Path) -> None:
    """Parts that are there are not asked for again, the random seed is remembered, another request is refused."""
    words = ["sample", "-m", "tiny", "-n", 700, "-o", "set.zip"]
    parts = tmp_path / "set.zip.parts"
    parts.mkdir()
    described = run("models", "tiny", "--json").stdout
    request = {"model": json.loads(described)["reference"], "label": None, "truncation": None, "scale": None}
    request |= {"output_format": None, "metadata": None, "n": 700}
    (parts / ".ganymede-sample.json").write_text(json.dumps({"seed": 50, "request": request}))
    with zipfile.ZipFile(parts / "000000000.zip", "w") as archive:
        archive.writestr("here.png", b"as it was left")
    other = run(*words, "--truncation", 0.5)
    assert (other.exit_code, "another set" in other.stderr) == (1, True)
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert "256 pictures were there before" in done.stderr
    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        assert archive.namelist() == ["here.png", *(f"{50 + k}.png" for k in range(256, 700))]


def test_login_is_private_and_goes_nowhere_else(
    run: Command, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has mode 0600; the key belongs to its address; `open` says where the studio is."""
    (tmp_path / "key.txt").write_text("secret\n")
    done = run("login", address, "--key-from", "key.txt", "--json")
    assert done.exit_code == 0, done.output
    assert "secret" not in done.output
    assert (tmp_path / "client.toml").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("GANYMEDE_CLIENT_CONFIG", str(tmp_path / "client.toml"))
    assert (login_for(None).url, login_for(None).key) == (address, "secret")
    assert login_for("http://127.0.0.1:9").key is None
    assert json.loads(run("models", "--json", GANYMEDE_URL="").stdout)["data"]
    assert json.loads(run("open", "--print", "--json", GANYMEDE_URL="").stdout) == {
        "url": f"{address}/",
        "opened": False,
    }
    assert json.loads(run("logout", "--json").stdout) == {"removed": True}
    assert login_for(None).key is None
