"""A bundle is untrusted input: what does not match its manifest is refused with a sentence that names it."""

import json
import shutil
from pathlib import Path

import pytest

from models.bundle import read_bundle, safe_path
from models.errors import BundleError, ChecksumError, ManifestError, UnsafePathError
from models.manifest import digest_of, manifest_to_bytes, parse_manifest


@pytest.fixture
def copy(bundle_folder: Path, tmp_path: Path) -> Path:
    """A bundle that a test may damage."""
    return Path(shutil.copytree(bundle_folder / "tiny", tmp_path / "tiny"))


def change(folder: Path, **fields: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_what_is_written_is_read_back(bundle_folder: Path) -> None:
    """The digest is the hash of the manifest as stored, and the manifest survives a round trip."""
    bundle = read_bundle(bundle_folder / "tiny-lapgan")
    stored = (bundle_folder / "tiny-lapgan" / "manifest.json").read_bytes()
    assert bundle.digest == digest_of(stored)
    assert manifest_to_bytes(parse_manifest(stored)) == stored
    assert bundle.reference == f"tiny-lapgan@{bundle.digest}"


@pytest.mark.parametrize("file", ["level-0.onnx", "level-0.ts", "README.md"])
def test_a_changed_byte_is_noticed(copy: Path, file: str) -> None:
    """The refusal names the file."""
    data = bytearray((copy / file).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / file).write_bytes(data)
    with pytest.raises(ChecksumError, match=file):
        read_bundle(copy)


def test_a_missing_file_is_noticed(copy: Path) -> None:
    """A listed file that is not there."""
    (copy / "level-0.ts").unlink()
    with pytest.raises(BundleError, match=r"level-0\.ts is listed but missing"):
        read_bundle(copy)


def test_what_is_not_listed_is_not_read(copy: Path) -> None:
    """A picture that nobody vouches for is not shown; a graph that is not is no level."""
    (copy / "preview.png").write_bytes(b"not listed")
    assert read_bundle(copy).read("preview.png") is None
    files = json.loads((copy / "manifest.json").read_text())["files"]
    change(copy, files={name: record for name, record in files.items() if name != "level-0.onnx"})
    with pytest.raises(ManifestError, match=r"level-0\.onnx"):
        read_bundle(copy)


@pytest.mark.parametrize(
    "fields",
    [
        {"format": "other"},
        {"format_version": 4},
        {"weights": {"file": "README.md", "precision": "float32"}},
        {"format_version": 2, "weights": {"file": "nowhere", "precision": "float32"}},
        {"name": "../up"},
        {"name": ""},
        {"image": {"width": 0, "height": 16, "channels": 3}},
        {"image": {"width": 16, "height": 16, "channels": 2}},
        {"latent": {"distribution": "standard_normal", "size": 9, "cuts": [{"name": "z", "shape": [8]}]}},
        {"levels": []},
        {"surprise": 1},
        {"labels": ["only one"]},
    ],
)
def test_manifests_at_odds_with_themselves_are_refused(copy: Path, fields: dict[str, object]) -> None:
    """Unknown version, impossible sizes, cuts that do not fill the latent, unknown fields."""
    change(copy, **fields)
    with pytest.raises(ManifestError):
        read_bundle(copy)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"[" * 100_000, b"\xff\xfe"])
def test_a_manifest_that_is_no_json_object(copy: Path, text: bytes) -> None:
    """Whatever the bytes are, the answer is a ManifestError."""
    (copy / "manifest.json").write_bytes(text)
    with pytest.raises(ManifestError):
        read_bundle(copy)


@pytest.mark.parametrize("file", ["/etc/passwd", "../secret", "a/../../b", "a\\b", "", "x\0y"])
def test_names_that_leave_the_folder(tmp_path: Path, file: str) -> None:
    """No file name reaches outside the bundle."""
    with pytest.raises(UnsafePathError):
        safe_path(tmp_path, file)


def test_symbolic_links_are_refused(copy: Path) -> None:
    """A link could point anywhere."""
    target = copy / "level-0.onnx"
    moved = copy.parent / "elsewhere.onnx"
    target.rename(moved)
    target.symlink_to(moved)
    with pytest.raises(UnsafePathError, match="symbolic link"):
        read_bundle(copy)


def test_levels_must_fit_together(copy: Path, bundle_folder: Path) -> None:
    """A level that takes another size than the one below gives is refused."""
    raw = json.loads((bundle_folder / "tiny-lapgan" / "manifest.json").read_text())
    raw["levels"][1]["previous"] = [8, 8]
    with pytest.raises(ManifestError, match="level 1 takes"):
        parse_manifest(json.dumps(raw).encode())
