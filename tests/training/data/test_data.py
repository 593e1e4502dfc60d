"""Data sets of every kind, and the report on those that are not in order."""

import csv
import gzip
import io
import struct
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.service.images.uploads.pictures import photo
from training.data.check import Report
from training.data.dataset import load_dataset, read_all
from training.data.sources import FASHION_CLASSES, find_pictures
from training.errors import DataError
from training.recipes.tables import DataTable


def table(path: Path, **more: object) -> DataTable:
    return DataTable.model_validate({"path": str(path), "size": 16, **more})


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    """One good picture and one of each kind of trouble."""
    Image.new("RGB", (20, 20), "red").save(tmp_path / "good.png")
    Image.new("L", (20, 20), 9).save(tmp_path / "grey.png")
    Image.new("CMYK", (20, 20), (0, 255, 255, 0)).save(tmp_path / "print.jpg")
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("RGB", (40, 20)).save(tmp_path / "wide.png")
    Image.new("I;16", (20, 20), 65535).save(tmp_path / "deep.png")
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(whole, "PNG")
    (tmp_path / "cut.png").write_bytes(whole.getvalue()[:900])
    (tmp_path / "text.jpg").write_text("not a picture")
    return tmp_path


def test_all_trouble_is_reported_at_once_and_by_name(messy: Path) -> None:
    """One look tells what has to be done."""
    with pytest.raises(DataError) as caught:
        load_dataset(table(messy))
    text = str(caught.value)
    for name in ("grey.png", "print.jpg", "clear.png", "wide.png", "deep.png", "cut.png", "text.jpg"):
        assert name in text
    for kind in ("grey", "CMYK", "alpha", "odd-sized", "deep", "unreadable"):
        assert kind in text
    assert "good.png" not in text
    assert "2 refused" in text


def test_what_can_be_converted_is_converted(messy: Path) -> None:
    """CMYK becomes RGB, clear becomes white, deep keeps its brightness, wide loses its sides."""
    dataset, report = load_dataset(table(messy, unreadable="skip"))
    assert dataset.pictures.shape == (6, 3, 16, 16)
    names = sorted(p.name for p in find_pictures(messy) if p.name not in ("cut.png", "text.jpg"))
    middle = {name: dataset.pictures[k, :, 8, 8].tolist() for k, name in enumerate(names)}
    assert middle["good.png"] == [255, 0, 0]
    assert middle["grey.png"] == [9, 9, 9]
    assert middle["clear.png"] == [255, 255, 255]
    assert middle["deep.png"] == [255, 255, 255]
    assert middle["print.jpg"][0] > 200
    assert max(middle["print.jpg"][1:]) < 60
    assert len(report.refused) == 2


def test_class_folders_are_labels(picture_folder: Path) -> None:
    """Names in order; every picture knows its own."""
    dataset, _ = load_dataset(table(picture_folder, labels="class"))
    assert dataset.classes == ("bar", "disc")
    assert dataset.labels is not None
    assert dataset.labels.bincount().tolist() == [24, 24]


def test_zip_with_csv_attributes(picture_folder: Path, tmp_path: Path) -> None:
    """A column of the csv beside a zip can be the label; an unknown column names the known ones."""
    files = sorted(picture_folder.rglob("*.png"))[:6]
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive, (tmp_path / "a.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "smiling"])
        for index, file in enumerate(files):
            archive.write(file, f"{index}.png")
            writer.writerow([f"{index}.png", index % 2])
    dataset, _ = load_dataset(table(tmp_path, labels="smiling"))
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [0, 1, 0, 1, 0, 1]
    with pytest.raises(DataError, match=r"no such attribute.*smiling"):
        load_dataset(table(tmp_path, labels="frowning"))


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_plain_and_gzipped(tmp_path: Path, packed: bool) -> None:
    """MNIST's own format, padded to a power of two."""
    pixels = np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)
    files = {
        "train-images-idx3-ubyte": struct.pack(">HBBIII", 0, 8, 3, 3, 28, 28) + pixels.tobytes(),
        "train-labels-idx1-ubyte": struct.pack(">HBBI", 0, 8, 1, 3) + bytes([7, 0, 7]),
    }
    for name, content in files.items():
        path = tmp_path / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)
    dataset, report = load_dataset(table(tmp_path, size=32, channels=1, fit="pad", labels="class"))
    assert dataset.classes == ("0", "7")
    assert np.array_equal(dataset.pictures[:, 0, 2:30, 2:30].numpy(), pixels)
    assert int(dataset.pictures[:, 0, :2].max()) == 0
    assert not report.findings


def test_damaged_idx_and_missing_sets_are_sentences(tmp_path: Path) -> None:
    """Never a bare assertion."""
    for path, words in ((tmp_path / "nowhere", "no data set"), (tmp_path, "no pictures")):
        with pytest.raises(DataError, match=words):
            find_pictures(path)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (tmp_path / name).write_bytes(b"\x00\x00\x08\x03\x00")
    with pytest.raises(DataError, match="cannot be read"):
        find_pictures(tmp_path)
    (tmp_path / "bad.zip").write_bytes(b"PK nonsense")
    with pytest.raises(DataError, match="not a readable zip"):
        find_pictures(tmp_path / "bad.zip")
    with pytest.raises(DataError, match=r"data\.path"):
        load_dataset(DataTable())


def test_fashion_files_have_the_names_of_the_clothes(tmp_path: Path) -> None:
    """In a folder called fashion-something the ten classes are words, in the order of the numbers."""
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    pixels = np.zeros((10, 28, 28), np.uint8).tobytes()
    (folder / "train-images-idx3-ubyte").write_bytes(struct.pack(">HBBIII", 0, 8, 3, 10, 28, 28) + pixels)
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, 10) + bytes(range(10)))
    few = table(folder, labels="class", channels=1, fit="pad", size=32)
    assert set(load_dataset(few)[0].classes) == set(FASHION_CLASSES)
    assert find_pictures(folder)[7].attributes == {"class": "sneaker", "label": "7"}


@pytest.fixture
def sheets(tmp_path: Path) -> Path:
    """CIFAR's form: two rows of a hundred 4-pixel pictures, each of one grey, and a list that knows more sheets."""
    greys = np.arange(200, dtype=np.uint8).reshape(2, 100)
    pixels = np.repeat(np.repeat(greys, 4, 0), 4, 1)
    Image.fromarray(pixels).convert("RGB").save(tmp_path / "cifar10_train_1.webp", lossless=True)
    rows = [("train_1", k, k % 2, ("cat", "dog")[k % 2]) for k in range(200)]
    rows += [("train_2", 0, 0, "cat"), ("test", 0, 1, "dog")]
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("sheet", "index", "label", "class"), *rows])
    return tmp_path


def test_sheets_are_cut_in_the_order_of_their_list(sheets: Path) -> None:
    """Row by row; a sheet that is not there yet is left out, and so is the other split."""
    few = table(sheets, labels="class", size=4)
    dataset, report = load_dataset(few)
    assert dataset.pictures[:, 0, 1, 2].tolist() == list(range(200))
    assert dataset.classes == ("cat", "dog")
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [0, 1] * 100
    assert not report.findings


def test_photos_of_many_shapes_are_reported_and_cropped(tmp_path: Path) -> None:
    """Odd-sized pictures are named, and still usable."""
    for k, size in enumerate(((300, 200), (200, 300), (256, 250))):
        photo(*size).save(tmp_path / f"{k}.jpg", quality=90)
    loaded, report = read_all(find_pictures(tmp_path), table(tmp_path, size=64))
    assert {finding.kind for finding in report.findings} == {"odd-sized"}
    assert len(report.findings) == 3
    assert all(item.pixels is not None and item.pixels.shape == (3, 64, 64) for item in loaded)


@pytest.mark.parametrize(("fit", "left"), [("crop", 255), ("pad", 0), ("stretch", 255)])
def test_pictures_of_another_ratio(tmp_path: Path, fit: str, left: int) -> None:
    """A square white picture as 16 high and 32 wide: its middle, or all of it between black bars, or stretched."""
    Image.new("RGB", (64, 64), "white").save(tmp_path / "white.png")
    table = DataTable.model_validate({"path": str(tmp_path), "size": "16x32", "fit": fit})
    data, _ = load_dataset(table)
    assert data.pictures.shape == (1, 3, 16, 32)
    assert data.spec.sides == (16, 32)
    assert int(data.pictures[0, 0, 8, 0]) == left
    assert int(data.pictures[0, 0, 8, 16]) == 255


def test_few_pictures_are_warned_of(picture_folder: Path, tmp_path: Path) -> None:
    """One picture or fifty: the report says that they will be learned by heart, and how many are fewer trouble."""
    _, report = load_dataset(DataTable(path=str(picture_folder), size=16))
    assert f"warning: {report.pictures} pictures: so few will be learned by heart" in report.text()
    assert Report(1, (), Counter()).text().endswith("finds copies")
    assert "warning" not in Report(1000, (), Counter()).text()


def test_mirroring_is_per_picture_and_repeatable(picture_folder: Path) -> None:
    """Half of a batch is mirrored, the same half for the same step."""
    import torch

    from training.compute.randomness import StepRandom

    dataset, _ = load_dataset(table(picture_folder, flip=True))
    indices = torch.arange(40)
    plain = dataset.batch(indices).pictures
    first, again, other = (dataset.batch(indices, StepRandom(0, step)).pictures for step in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    mirrored = (first != plain).flatten(1).any(1)
    assert 8 < int(mirrored.sum()) < 36
    assert torch.equal(first[mirrored], plain[mirrored].flip(3))
