"""`ganymede import` and `ganymede serve FILE` as a user types them, in a folder with files of theirs."""

import json
import shutil
from pathlib import Path

import httpx
import pytest
import torch

from models.bundle import read_bundle
from tests.end_to_end.command import execute
from tests.end_to_end.processes import running
from tests.models.imports.generators import CLASSES, NZ, example, mlp
from tests.models.imports.test_modules import Stepped


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """netG.pth, a generator with classes, one that stays TorchScript, and a damaged file."""
    folder = tmp_path_factory.mktemp("mine")
    torch.save(example().state_dict(), folder / "netG.pth")
    torch.save(mlp(CLASSES).state_dict(), folder / "my classes.pth")
    torch.jit.script(Stepped()).save(str(folder / "stepped.pt"))
    (folder / "cut.pth").write_bytes((folder / "netG.pth").read_bytes()[:2000])
    (folder / "names.txt").write_text("shirt\nshoe\nbag\nhat\ncoat\n")
    return folder


def _run(folder: Path, *words: str) -> tuple[int, str, str]:
    done = execute(words, folder, {"COLUMNS": "200", "GANYMEDE_DATA_DIR": str(folder / "data")})
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_dry_run_prints_a_table_and_writes_nothing(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    code, out, _ = _run(folder, "import", "netG.pth", "--dry-run")
    assert code == 0
    for words in (("latent", f"{NZ} numbers", "file"), ("latent law", "standard normal", "assumed"), ("size", "32x32")):
        assert any(all(word in line for word in words) for line in out.splitlines()), words
    assert sorted(folder.rglob("*")) == before


def test_an_import_says_where_it_is_and_how_to_serve_it(folder: Path) -> None:
    """Once more the same name is taken; --replace and another --name are the ways out."""
    words = ("import", "my classes.pth", "--labels", "names.txt", "--licence", "CC0-1.0", "--law", "normal")
    code, out, _ = _run(folder, *words)
    assert code == 0
    assert "serve it with: ganymede serve --bundles bundles" in out
    manifest = read_bundle(folder / "bundles" / "my-classes").manifest
    assert manifest.labels == ("shirt", "shoe", "bag", "hat", "coat")
    assert manifest.provenance.licence == "CC0-1.0"
    code, _, said = _run(folder, *words)
    assert code == 1
    assert "my-classes is there already; say --replace or another --name" in said
    assert _run(folder, *words, "--replace")[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("cut.pth",), 1, "truncated"),
        (("nowhere.pth",), 1, "nowhere.pth is not there"),
        (("netG.pth", "--size", "big"), 2, "--size"),
        (("netG.pth", "--input", "psi"), 2, "'psi' must be NAME=VALUE"),
        (("netG.pth", "--law", "cauchy"), 2, "--law"),
    ],
)
def test_what_is_wrong_is_one_sentence(folder: Path, words: tuple[str, ...], code: int, sentence: str) -> None:
    ended, _, said = _run(folder, "import", *words, "--out", "other")
    assert ended == code
    assert sentence in said
    assert len([line for line in said.splitlines() if not line.startswith("importing")]) == 1
    assert not (folder / "other").exists()


def test_serve_refuses_as_import_does(folder: Path) -> None:
    code, _, said = _run(folder, "serve", "cut.pth", "--dry-run")
    assert (code, "cut.pth" in said and "truncated" in said) == (1, True)
    code, _, said = _run(folder, "serve", "https://example.org/netG.pth", "--dry-run")
    assert (code, "download it" in said) == (1, True)
    code, _, said = _run(folder, "serve", "netG.pth", "stepped.pt", "--name", "one", "--dry-run")
    assert (code, "--name is for one file" in said) == (2, True)


def test_files_zips_and_urls_are_taken_as_bundles_takes_them(folder: Path, bundle_folder: Path) -> None:
    """A zip of bundles and a URL stand beside an imported file, which is imported once."""
    shutil.make_archive(str(folder / "tiny"), "zip", bundle_folder)
    words = ("serve", "tiny.zip", "s3://store/models", "netG.pth", "--name", "faces", "--last", "tanh", "--dry-run")
    code, out, said = _run(folder, *words)
    assert code == 0
    assert "serving faces@" in said
    found = json.loads(out)["bundles"]
    assert found[:2] == ["tiny.zip", "s3://store/models"]
    assert read_bundle(folder / found[2]).name == "faces"


async def test_files_are_served_by_one_command(folder: Path, tmp_path: Path, bundle_folder: Path) -> None:
    """`ganymede serve FILE FILE`: one and a hundred pictures of each, TorchScript kept as it is among them."""
    files = [str(folder / "netG.pth"), str(folder / "stepped.pt")]
    with running(tmp_path, bundle_folder, *files, GANYMEDE_THREADS="1") as (_, address):
        async with httpx.AsyncClient(base_url=address, timeout=120) as client:
            names = {model["name"] for model in (await client.get("/models")).json()["data"]}
            assert {"netG", "stepped"} <= names
            for name in ("netG", "stepped"):
                for n in (1, 100):
                    body = {"model": name, "seed": 3, "n": n}
                    answer = await client.post("/sample", json=body, headers={"accept": "image/png"})
                    assert answer.status_code == 200, answer.text[:300]
