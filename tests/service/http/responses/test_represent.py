"""A result in every representation: what is in the file, in the envelope and in the headers."""

import base64
import io
import json
import time
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from save_files import read_recipe, read_recipes
from service.errors import NotAcceptableError
from service.http.negotiation import JSON, NPY, NPZ, PNG, ZIP
from service.http.responses.represent import envelope, image_url, represent
from service.operations.requests import Delivery
from service.operations.results import Document, Picture, Pictures

WEBP, JPEG = "image/webp", "image/jpeg"
PLAIN, MUTE = Delivery(), Delivery(metadata="none")
FAST: dict[str, Any] = {"precision": "fast", "difference": {"max": 3, "mean": 0.5}}


def picture(seed: int | None, height: int = 4, **recipe: Any) -> Picture:
    """8 pixels wide, a grey of its own."""
    made_by = {"op": "sample", "seed": seed, **recipe}
    return Picture(np.full((height, 8, 3), 10 * (seed or 0), np.uint8), seed=seed, recipe=made_by)


ONE = Pictures("m@1", "cpu", (picture(7),))
THREE = Pictures("m@1", "cpu", (picture(7), picture(8), picture(9)), columns=2)


def opened(result: Any, media: str, delivery: Delivery = PLAIN) -> Any:
    answer = represent(result, media, delivery)
    assert answer.media_type == media
    return Image.open(io.BytesIO(bytes(answer.body)))


def test_the_headers_say_what_made_it_and_how_long_that_took() -> None:
    """The times that were measured, and that of the encoding; seeds where there are some, 64 at most."""
    answer = represent(replace(THREE, timing_ms={"queue": 1.0, "compute": 2.25}), PNG, PLAIN)
    names = [part.split(";dur=") for part in answer.headers["server-timing"].split(", ")]
    assert names[:2] == [["queue", "1.00"], ["compute", "2.25"]]
    assert names[2][0] == "encode"
    assert 0 < float(names[2][1]) < 10_000
    assert [answer.headers[f"ganymede-{name}"] for name in ("model", "provider", "seed")] == ["m@1", "cpu", "7,8,9"]
    many = Pictures("m@1", "cpu", tuple(picture(seed % 25) for seed in range(70)))
    assert represent(many, NPY, PLAIN).headers["ganymede-seed"].count(",") == 63
    seedless = represent(Pictures("m@1", "cpu", (picture(None),)), PNG, PLAIN).headers
    assert "ganymede-seed" not in seedless
    assert {"ganymede-model", "ganymede-provider"}.isdisjoint(represent(Document({}), JSON, PLAIN).headers)
    written = represent(Document({}, model="m@1", provider="cpu"), JSON, PLAIN).headers
    assert (written["ganymede-model"], written["ganymede-provider"]) == ("m@1", "cpu")


def test_fast_pictures_say_so_in_the_headers() -> None:
    """With how far from the exact ones they may be; exact ones say nothing."""
    found = represent(Pictures("m@1", "cpu", (picture(7, **FAST), picture(8, **FAST))), NPY, PLAIN).headers
    assert (found["ganymede-precision"], found["ganymede-difference"]) == ("fast", "max=3, mean=0.5")
    for result in (ONE, Pictures("m@1", "cpu", (picture(1, precision="exact"),)), Document({})):
        assert "ganymede-precision" not in represent(result, JSON, PLAIN).headers


@pytest.mark.parametrize(("media", "kind"), [(PNG, "PNG"), (WEBP, "WEBP"), (JPEG, "JPEG")])
def test_one_picture_is_itself_and_several_are_a_sheet(media: str, kind: str) -> None:
    """Each with the recipe that makes it again, unless none is wanted."""
    for result, size, recipe in (
        (ONE, (8, 4), {"op": "sample", "seed": 7}),
        (THREE, (18, 10), {"op": "sample", "items": [{"seed": 7}, {"seed": 8}, {"seed": 9}], "columns": 2}),
        (replace(THREE, recipe={"op": "again"}), (18, 10), {"op": "again"}),
    ):
        found = opened(result, media)
        assert (found.format, found.size) == (kind, size)
        assert read_recipe(bytes(represent(result, media, PLAIN).body)) == recipe
        assert read_recipe(bytes(represent(result, media, MUTE).body)) is None


def test_a_walk_moves_where_the_format_can() -> None:
    """As fast as asked for, for ever or once, the recipe of all in it; elsewhere its frames are a sheet."""
    walk = replace(THREE, animation={"fps": 5, "loop": True})
    for media, kind in ((WEBP, "WEBP"), ("image/gif", "GIF")):
        moving = opened(walk, media)
        assert (moving.format, moving.n_frames, moving.size, moving.info["loop"]) == (kind, 3, (8, 4), 0)
        moving.seek(1)
        moving.load()
        assert moving.info["duration"] == 200
        assert len(read_recipe(bytes(represent(walk, media, PLAIN).body))["items"]) == 3  # type: ignore[index]
        assert read_recipe(bytes(represent(walk, media, MUTE).body)) is None
    assert opened(replace(walk, animation={"fps": 5, "loop": False}), WEBP).info["loop"] == 1
    assert opened(walk, PNG).size == (18, 10)


def test_a_zip_names_each_picture_by_what_it_was_made_of() -> None:
    """Its seed, its latent, its place; a name that comes again has its place, too. The same bytes tomorrow."""
    result = replace(THREE, pictures=(picture(7), replace(picture(None), latent="mine"), picture(None), picture(7)))
    answer = bytes(represent(result, ZIP, Delivery(output_format="jpeg")).body)
    with zipfile.ZipFile(io.BytesIO(answer)) as archive:
        assert archive.namelist() == ["7.jpeg", "mine.jpeg", "0002.jpeg", "7-0003.jpeg"]
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert Image.open(archive.open("7.jpeg")).format == "JPEG"
    assert [recipe["seed"] for _, recipe in read_recipes(answer)] == [7, None, None, 7]  # type: ignore[index]
    mute = bytes(represent(result, ZIP, MUTE).body)
    assert [recipe for _, recipe in read_recipes(mute)] == [None] * 4


def test_arrays_hold_pixels_seeds_and_the_recipe() -> None:
    """Seeds where all have one; the recipe only where all metadata is wanted."""
    stack = np.stack([each.pixels for each in THREE.pictures])
    np.testing.assert_array_equal(np.load(io.BytesIO(bytes(represent(THREE, NPY, PLAIN).body))), stack)
    answer = bytes(represent(THREE, NPZ, PLAIN).body)
    fields = np.load(io.BytesIO(answer))
    np.testing.assert_array_equal(fields["images"], stack)
    assert (fields["seeds"].tolist(), fields["seeds"].dtype) == ([7, 8, 9], np.uint32)
    assert len(read_recipe(answer)["items"]) == 3  # type: ignore[index]
    assert read_recipe(bytes(represent(ONE, NPZ, PLAIN).body)) == {"op": "sample", "seed": 7}
    some = replace(THREE, pictures=(picture(7), picture(None)))
    assert set(np.load(io.BytesIO(bytes(represent(some, NPZ, MUTE).body)))) == {"images"}
    assert "recipe" not in np.load(io.BytesIO(bytes(represent(THREE, NPZ, Delivery(metadata="minimal")).body)))


@pytest.mark.parametrize("media", [NPY, NPZ])
def test_pictures_of_several_sizes_are_no_array(media: str) -> None:
    """Nor has every document one; the answer says what there is instead."""
    with pytest.raises(NotAcceptableError, match="the pictures differ in size; ask for application/zip"):
        represent(replace(THREE, pictures=(picture(7), picture(8, height=5))), media, PLAIN)


def test_a_document_is_json_and_where_it_has_one_an_array() -> None:
    """The vector of a latent or a direction."""
    vector = np.arange(3, dtype=np.float32)
    found = Document({"name": "a"}, vector)
    assert json.loads(bytes(represent(found, JSON, PLAIN).body)) == {"name": "a"}
    np.testing.assert_array_equal(np.load(io.BytesIO(bytes(represent(found, NPY, PLAIN).body))), vector)
    with pytest.raises(NotAcceptableError, match="no array; ask for application/json"):
        represent(Document({}), NPY, PLAIN)


def test_the_envelope_says_everything_of_each_picture() -> None:
    """Where it lies or its bytes, its size, its label, its recipe; and of all of them what made them, when and how long."""
    labelled = replace(picture(8), label="red", latent="mine")
    result = replace(THREE, pictures=(picture(7), labelled), timing_ms={"compute": 1.23456})
    body = json.loads(bytes(represent(result, JSON, PLAIN, "https://pub.example").body))
    assert body.keys() == {"id", "model", "created", "provider", "data", "timing_ms"}
    assert (body["model"], body["provider"], len(body["id"])) == ("m@1", "cpu", 32)
    assert abs(time.time() - body["created"]) < 100
    assert list(body["timing_ms"]) == ["queue", "compute", "encode"]
    assert (body["timing_ms"]["queue"], body["timing_ms"]["compute"]) == (0.0, 1.235)
    assert 0 < body["timing_ms"]["encode"] < 10_000
    assert body["data"][1] == {
        "index": 1,
        "seed": 8,
        "url": "https://pub.example/images/m@1/8.png",
        "b64_json": None,
        "width": 8,
        "height": 4,
        "label": "red",
        "latent": "mine",
        "recipe": {"op": "sample", "seed": 8},
    }
    plain = envelope(ONE, PLAIN, "")
    assert (plain["timing_ms"]["encode"], plain["data"][0]["url"]) == (0.0, "/images/m@1/7.png")
    assert len({envelope(ONE, PLAIN, "")["id"] for _ in range(2)}) == 2
    told = envelope(replace(ONE, notes=("careful",), extra={"walk": 3}), PLAIN, "")
    assert (told["notes"], told["walk"]) == (["careful"], 3)


def test_pictures_travel_in_the_envelope_where_no_address_makes_them() -> None:
    """Or where that is asked for: in the format and with the metadata that were asked for."""
    entry = envelope(ONE, Delivery(response_format="b64_json", output_format="webp"), "")["data"][0]
    assert entry["url"] == "/images/m@1/7.webp"
    data = base64.b64decode(entry["b64_json"])
    assert Image.open(io.BytesIO(data)).format == "WEBP"
    assert read_recipe(data) == {"op": "sample", "seed": 7}
    seedless = Pictures("m@1", "cpu", (picture(None),))
    silent = envelope(seedless, MUTE, "https://pub.example")["data"][0]
    assert silent["url"] is None
    assert read_recipe(base64.b64decode(silent["b64_json"])) is None
    kept = Pictures("m@1", "cpu", (replace(picture(None), url="/kept"),))
    assert envelope(kept, PLAIN, "https://pub.example")["data"][0]["url"] == "https://pub.example/kept"


def test_a_grid_is_one_picture_in_the_envelope() -> None:
    """A lone picture stays itself."""
    grid = Delivery(layout="grid")
    stack = np.stack([each.pixels for each in THREE.pictures])
    body = envelope(replace(THREE, stack=stack), grid, "")
    (only,) = body["data"]
    assert (only["width"], only["height"], only["seed"], len(only["recipe"]["items"])) == (18, 10, None, 3)
    assert Image.open(io.BytesIO(base64.b64decode(only["b64_json"]))).size == (18, 10)
    assert envelope(ONE, grid, "")["data"][0]["seed"] == 7


def test_only_what_a_seed_alone_makes_has_an_address() -> None:
    """With whatever else its bytes depend on."""
    wish: dict[str, Any] = {"label": "a b", "truncation": 0.5, "scale": 2, "precision": "fast", "other": 1}
    assert image_url(picture(7), "m@1", "png") == "/images/m@1/7.png"
    assert (
        image_url(picture(7, **wish), "m", "webp") == "/images/m/7.webp?label=a+b&truncation=0.5&scale=2&precision=fast"
    )
    assert image_url(picture(7, op="upsample"), "m", "png") is None
    assert image_url(picture(None), "m", "png") is None
