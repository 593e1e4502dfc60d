"""Requests that carry a picture: however it is sent, the fields mean the same."""

from typing import Any, Literal

import httpx
import pytest
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from service.errors import InvalidValueError, MalformedError, UnsupportedPictureError
from service.http.picture_body import MAX_FIELDS, form_name, form_schema, openapi_body, read_picture_body

PICTURE = {"image": ("p.png", b"picture", "image/png")}


class Fields(BaseModel):
    """Of every kind that a picture's request may have."""

    model_config = ConfigDict(extra="forbid")
    steps: int | None = None
    prompt: str | None = None
    keep: bool = False
    layers: list[float] | None = None
    names: list[str] | None = None
    mode: Literal["1", "fast"] = "fast"


async def read(**sent: Any) -> tuple[Fields, bytes]:
    """What is read of a request as httpx sends it."""
    made = httpx.Request("POST", "http://localhost/", **sent)
    headers = [(name.lower(), value) for name, value in made.headers.raw]
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": headers,
        "query_string": made.url.query,
    }
    scope["app"] = None  # Starlette says what is wrong with a form in another way where there is an application

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": made.read()}

    return await read_picture_body(Request(scope, receive), Fields)


WRITTEN = {"steps": "3", "prompt": "12", "keep": "False", "layers": "0.5", "names": "a b", "mode": "1"}
MEANT = {"steps": 3, "prompt": "12", "keep": False, "layers": [0.5], "names": ["a b"], "mode": "1"}


async def test_a_form_and_a_raw_body_mean_the_same() -> None:
    """Numbers are numbers, text that looks like a number stays text, False is how Python writes it."""
    form, raw = await read(data=WRITTEN, files=PICTURE), await read(params=WRITTEN, content=b"picture")
    assert form == raw == (Fields(**MEANT), b"picture")
    named = await read(params={"keep": "true"}, content=b"x", headers={"content-type": "IMAGE/PNG; q=1"})
    assert named == (Fields(keep=True), b"x")


@pytest.mark.parametrize("layers", [["1", "2", "3"], ["[1, 2]", "3"], ["1", "[2, 3]"]])
async def test_a_repeated_name_makes_a_list(layers: list[str]) -> None:
    """Beside one that is written as JSON, too."""
    assert (await read(data={"layers": layers}, files=PICTURE))[0].layers == [1, 2, 3]


async def test_a_field_of_the_form_goes_before_the_address() -> None:
    """Of the same name; the others of the address count."""
    media = {"Content-Type": "Multipart/Form-Data; boundary=b"}
    body = b'--b\r\nContent-Disposition: form-data; name="steps"\r\n\r\n3\r\n--b\r\n'
    body += b'Content-Disposition: form-data; name="image"; filename="p"\r\n\r\npicture\r\n--b--\r\n'
    found = await read(params={"steps": "9", "prompt": "a"}, content=body, headers=media)
    assert found == (Fields(steps=3, prompt="a"), b"picture")


OTHER = {"picture": PICTURE["image"]}
TWO = [("image", PICTURE["image"]), ("image", PICTURE["image"])]
BROKEN = {"content": b"--a--", "headers": {"content-type": "multipart/form-data"}}


@pytest.mark.parametrize(
    ("sent", "kind", "sentence"),
    [
        ({"json": {}}, UnsupportedPictureError, "send the picture as multipart/form-data with a file `image`"),
        ({"content": b""}, InvalidValueError, "there is no picture: the file is empty"),
        ({"files": {"image": ("p", b"")}}, InvalidValueError, "there is no picture: the file is empty"),
        ({"files": OTHER}, InvalidValueError, "the file must be named 'image', not 'picture'"),
        ({"files": {"a": (None, b"text")}}, InvalidValueError, "the form has no file 'image'"),
        ({"files": TWO}, MalformedError, "the form cannot be read: Too many files"),
        (BROKEN, MalformedError, "the form cannot be read: Missing boundary"),
    ],
)
async def test_what_carries_no_picture_is_told(sent: dict[str, Any], kind: type[Exception], sentence: str) -> None:
    """What is missing, and where it should be."""
    with pytest.raises(kind, match=sentence) as caught:
        await read(**sent)
    if kind is InvalidValueError:
        assert caught.value.errors == [{"pointer": "/image", "detail": str(caught.value)}]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("field", "text"), [("steps", "x"), ("steps", "[1]"), ("layers", "x"), ("mode", "slow"), ("other", "1")]
)
async def test_a_wrong_field_is_pointed_at(field: str, text: str) -> None:
    """Unknown ones, too."""
    with pytest.raises(InvalidValueError) as caught:
        await read(params={field: text}, content=b"picture")
    assert caught.value.errors[0]["pointer"].startswith(f"/{field}")


async def test_as_many_fields_as_are_allowed_are_read() -> None:
    """Sixty-four, and not one more."""
    values = ["1"] * MAX_FIELDS
    assert (await read(data={"layers": values}, files=PICTURE))[0].layers == [1] * MAX_FIELDS
    with pytest.raises(MalformedError, match="Too many fields"):
        await read(data={"layers": [*values, "1"]}, files=PICTURE)


class SharpenRequest(BaseModel):
    """One field that is described and one that is not."""

    steps: int = Field(3, description="How often.")
    mode: str = "fast"


def test_the_document_says_both_ways_of_sending() -> None:
    """A form with the file and the fields, or the file of any of the types and the fields in the address."""
    steps = {"default": 3, "description": "How often.", "title": "Steps", "type": "integer"}
    mode = {"default": "fast", "title": "Mode", "type": "string"}
    said, file = openapi_body(SharpenRequest), {"schema": {"type": "string", "format": "binary"}}
    by_address = {"in": "query", "required": False}
    assert said["parameters"] == [
        {"name": "steps", "schema": steps, "description": "How often.", **by_address},
        {"name": "mode", "schema": mode, "description": "", **by_address},
    ]
    content = said["requestBody"].pop("content")
    assert content.pop("multipart/form-data") == {"schema": {"$ref": "#/components/schemas/SharpenForm"}}
    assert content == dict.fromkeys(["image/png", "image/jpeg", "image/webp", "application/octet-stream"], file)
    assert said["requestBody"] == {"required": True}
    assert form_name(SharpenRequest) == "SharpenForm"
    kinds = {"type": "string", "format": "binary", "description": "PNG, JPEG, WebP, GIF, BMP or TIFF."}
    assert form_schema(SharpenRequest) == {
        "type": "object",
        "required": ["image"],
        "properties": {"image": kinds, "steps": steps, "mode": mode},
        "additionalProperties": False,
    }
