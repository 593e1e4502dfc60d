"""Bundles from zips, an object store and the web: fetched once, verified, kept by digest, refused with a sentence."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from models.bundle import Bundle, read_bundle
from models.sources import Sources
from tests.stores import BUCKET


def zipped(folder: Path, target: Path, inside: str = "") -> Path:
    """A zip of a bundle's folder, as people make them."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(file, Path(inside) / file.relative_to(folder))
    return target


def references(sources: Sources) -> list[str]:
    folders, refused = sources.look()
    assert refused == {}
    return [read_bundle(folder).reference for folder in folders]


@pytest.mark.parametrize("inside", ["", "tiny", "release/tiny"])
def test_a_zip(tiny: Bundle, tmp_path: Path, inside: str) -> None:
    """With the bundle at its root or in folders; a changed zip is read again, the old digest stays in the cache."""
    source, cache = zipped(tiny.folder, tmp_path / "b.zip", inside), tmp_path / "cache"
    sources = Sources([source], cache)
    assert references(sources) == [tiny.reference]
    shutil.rmtree(cache / tiny.digest / "tiny")
    assert references(Sources([source], cache)) == [tiny.reference]


def test_several_bundles_in_a_zip_beside_a_folder(bundle_folder: Path, tmp_path: Path) -> None:
    """The order is that of the sources."""
    source = zipped(bundle_folder, tmp_path / "all.zip")
    folders, _ = Sources([bundle_folder / "tiny", source], tmp_path / "cache").look()
    assert [folder.name for folder in folders] == ["tiny", "tiny", "tiny-labels", "tiny-lapgan"]


def test_an_object_store(s3: Any, tiny: Bundle, bundle_folder: Path, tmp_path: Path) -> None:
    """A bundle, a folder of bundles and a zip in S3; a digest in the source picks, and a wrong one is refused."""
    s3.put(f"{bundle_folder}/", f"{BUCKET}/all/", recursive=True)
    s3.put(str(zipped(tiny.folder, tmp_path / "tiny.zip")), f"{BUCKET}/tiny.zip")
    for path in (f"all/tiny#{tiny.digest}", "tiny.zip", f"tiny.zip#{tiny.digest}"):
        assert references(Sources([f"s3://{BUCKET}/{path}"], tmp_path / "one")) == [tiny.reference]
    assert len(references(Sources([f"s3://{BUCKET}/all"], tmp_path / "many"))) == 3
    folders, refused = Sources([f"s3://{BUCKET}/all/tiny#{'0' * 16}"], tmp_path / "one").look()
    assert folders == []
    assert "not the digest 0000000000000000" in next(iter(refused.values()))
    _, refused = Sources([f"s3://{BUCKET}/nothing"], tmp_path / "one").look()
    assert refused == {f"s3://{BUCKET}/nothing": f"s3://{BUCKET}/nothing does not exist"}


def test_the_web(web: tuple[str, Path], tiny: Bundle, tmp_path: Path) -> None:
    """A zip and a folder by plain HTTP; what changed is fetched again, what did not is not."""
    address, folder = web
    zipped(tiny.folder, folder / "tiny.zip")
    shutil.copytree(tiny.folder, folder / "tiny")
    for path in ("tiny.zip", "tiny", "tiny/"):
        assert references(Sources([f"{address}/{path}"], tmp_path / path)) == [tiny.reference]


def test_it_starts_while_the_store_is_away(web: tuple[str, Path], tiny: Bundle, tmp_path: Path) -> None:
    """What a source held last is served from the cache, with the reason why it could not be asked."""
    address, folder = web
    zipped(tiny.folder, folder / "tiny.zip")
    source = f"{address.replace('//', '//user:secret@')}/tiny.zip?token=abc"
    assert references(Sources([source], tmp_path / "cache")) == [tiny.reference]
    (folder / "tiny.zip").unlink()
    folders, refused = Sources([source], tmp_path / "cache").look()
    assert [read_bundle(found).reference for found in folders] == [tiny.reference]
    assert refused == {f"{address}/tiny.zip": f"{address}/tiny.zip does not exist"}


def hostile(name: str, tiny: Bundle, target: Path) -> Path:
    """Zips that nobody should unpack."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path for path in tiny.folder.rglob("*") if path.is_file()):
            data = file.read_bytes()
            if name == "longer" and file.suffix == ".onnx":
                data += b"x"
            if name == "changed" and file.suffix == ".onnx":
                data = data[:-1] + bytes([data[-1] ^ 1])
            if name != "missing" or file.suffix != ".onnx":
                archive.writestr(file.name, data)
        if name == "slip":
            archive.writestr("../../slipped.txt", b"out")
        if name == "link":
            link = zipfile.ZipInfo("link")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
        if name == "bomb":
            archive.writestr("bomb", bytes(40 << 20))
        if name == "many":
            for k in range(2001):
                archive.writestr(f"f{k}", b"")
    if name == "cut":
        target.write_bytes(target.read_bytes()[:-1000])
    if name == "empty":
        with zipfile.ZipFile(target, "w"):
            pass
    return target


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("slip", "leaves its folder"),
        ("link", "is a symbolic link"),
        ("bomb", "would unpack to"),
        ("many", "at most 2000 are read"),
        ("longer", "longer than the"),
        ("changed", "does not have the sha256"),
        ("missing", "is listed but not in the zip"),
        ("cut", "not a readable zip"),
        ("empty", "holds no manifest.json"),
    ],
)
def test_hostile_zips_are_refused(tiny: Bundle, tmp_path: Path, name: str, sentence: str) -> None:
    """A sentence that says why; nothing is left in the cache, nothing is written beside it."""
    source, cache = hostile(name, tiny, tmp_path / "bad.zip"), tmp_path / "deep" / "cache"
    folders, refused = Sources([source], cache).look()
    assert folders == []
    assert sentence in refused["bad.zip"]
    left = [path for path in (tmp_path / "deep").rglob("*") if path.is_file() and path.name != ".lock"]
    assert left == []
    assert not list(tmp_path.rglob("slipped.txt"))


def test_a_damaged_cache_is_filled_again(tiny: Bundle, tmp_path: Path) -> None:
    """A file that changed in the cache is noticed at the next start and fetched again."""
    source, cache = zipped(tiny.folder, tmp_path / "b.zip"), tmp_path / "cache"
    Sources([source], cache).look()
    graph = cache / tiny.digest / "tiny" / "level-0.onnx"
    graph.write_bytes(b"damaged")
    source.touch()
    assert references(Sources([source], cache)) == [tiny.reference]


def test_without_the_backend_it_says_what_to_install(tmp_path: Path) -> None:
    """A sentence with the extra's name; and nothing of fsspec is loaded before a URL is opened."""
    code = (
        "import sys; from pathlib import Path; from models.sources import Sources; import service.operations.state\n"
        "assert 'fsspec' not in sys.modules and 's3fs' not in sys.modules\n"
        "sys.modules['s3fs'] = None\n"
        f"print(Sources(['s3://bucket/x'], Path({str(tmp_path)!r})).look()[1])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "needs pip install 'ganymede[s3]'" in done.stdout, done.stderr
