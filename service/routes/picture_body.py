"""Requests that carry a picture: multipart form data, or the raw file with the fields as query parameters."""

import json
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from service.errors import InvalidValueError, MalformedError, UnsupportedPictureError
from service.problems import invalid

FILE = "image"
MAX_FIELDS = 64
MAX_VALUE = 4096
TEXT_FIELDS = {"model", "webhook"}
"""Fields that stay text even when they look like numbers."""

Body = TypeVar("Body", bound=BaseModel)


async def read_picture_body(request: Request, kind: type[Body]) -> tuple[Body, bytes]:
    """The request's fields as `kind` and the picture's bytes. Query parameters work with both ways of sending.

    Raises MalformedError for a broken form, UnsupportedPictureError for JSON, InvalidValueError for wrong fields.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == "application/json":
        raise UnsupportedPictureError("send the picture as multipart/form-data with a file `image`, or as the raw body")
    pairs = list(request.query_params.multi_items())
    data = await request.body()  # kept by the request, so that watching for a hang-up can go on
    if media == "multipart/form-data":
        more, data = await _form(request)
        pairs += more
    return _fields(pairs, kind), data


async def _form(request: Request) -> tuple[list[tuple[str, str]], bytes]:
    try:
        form = await request.form(max_files=1, max_fields=MAX_FIELDS)
    except HTTPException as error:
        raise MalformedError(f"the form cannot be read: {error.detail}") from None
    pairs, data = [], None
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name != FILE:
                raise _wrong_file(f"the file must be named {FILE!r}, not {name[:64]!r}")
            data = await value.read()
        else:
            pairs.append((name, value))
    await form.close()
    if data is None:
        raise _wrong_file(f"the form has no file {FILE!r}")
    return pairs, data


def _wrong_file(sentence: str) -> InvalidValueError:
    return InvalidValueError(sentence, errors=[{"pointer": f"/{FILE}", "detail": sentence}])


def _fields(pairs: list[tuple[str, str]], kind: type[Body]) -> Body:
    """Text to typed fields: numbers, true/false and lists as JSON writes them; a repeated name makes a list."""
    raw: dict[str, Any] = {}
    for name, text in pairs:
        value = text if name in TEXT_FIELDS else _value(text)
        if name in raw:
            value = [*(raw[name] if isinstance(raw[name], list) else [raw[name]]), value]
        raw[name] = value
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise invalid(error.errors(), list(kind.model_fields)) from None


def _value(text: str) -> Any:
    if len(text) > MAX_VALUE:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def openapi_body(kind: type[BaseModel]) -> dict[str, Any]:
    """What the OpenAPI document says of such a request."""
    schema = kind.model_json_schema()
    fields = schema["properties"]
    file = {"type": "string", "format": "binary", "description": "PNG, JPEG, WebP, GIF, BMP or TIFF."}
    form = {"type": "object", "required": [FILE], "properties": {FILE: file, **fields}, "additionalProperties": False}
    raw = {"schema": {"type": "string", "format": "binary"}}
    content = {"multipart/form-data": {"schema": form}, **dict.fromkeys(("image/png", "image/jpeg", "image/webp"), raw)}
    parameters = [
        {"name": name, "in": "query", "required": False, "schema": field, "description": field.get("description", "")}
        for name, field in fields.items()
    ]
    return {"requestBody": {"required": True, "content": content}, "parameters": parameters}
