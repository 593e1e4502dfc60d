"""Requests that carry a picture: multipart form data, or the raw file with the fields as query parameters."""

import json
from collections.abc import Iterator
from typing import Any, TypeVar, get_args

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from service.errors import InvalidValueError, MalformedError, UnsupportedPictureError
from service.http.openapi_schemas import ref
from service.http.problems import invalid

FILE = "image"
MAX_FIELDS = 64
RAW_TYPES = ("image/png", "image/jpeg", "image/webp", "application/octet-stream")

Body = TypeVar("Body", bound=BaseModel)


async def read_picture_body(request: Request, kind: type[Body]) -> tuple[Body, bytes]:
    """The request's fields as `kind` and the picture's bytes.

    Query parameters work with both ways of sending; a field of the form goes before a parameter of the same name.

    Raises MalformedError for a broken form, UnsupportedPictureError for JSON, InvalidValueError for wrong fields
    or no picture.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == "application/json":
        raise UnsupportedPictureError("send the picture as multipart/form-data with a file `image`, or as the raw body")
    pairs = list(request.query_params.multi_items())
    data = await request.body()  # kept by the request, so that watching for a hang-up can go on
    if media == "multipart/form-data":
        fields, data = await _form(request)
        pairs = [*fields, *(pair for pair in pairs if pair[0] not in dict(fields))]
    if not data:
        raise _no_picture("there is no picture: the file is empty")
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
                raise _no_picture(f"the file must be named {FILE!r}, not {name[:64]!r}")
            data = await value.read()
        else:
            pairs.append((name, value))
    await form.close()
    if data is None:
        raise _no_picture(f"the form has no file {FILE!r}")
    return pairs, data


def _no_picture(sentence: str) -> InvalidValueError:
    return InvalidValueError(sentence, pointer=f"/{FILE}")


def _fields(pairs: list[tuple[str, str]], kind: type[Body]) -> Body:
    """Text to typed fields: numbers, true/false and lists as JSON writes them; a repeated name makes a list."""
    values: dict[str, Any] = {}
    for name, text in pairs:
        value = _value(kind, name, text)
        values[name] = value if name not in values else [*_listed(values[name]), *_listed(value)]
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise invalid(error.errors(), list(kind.model_fields)) from None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _value(kind: type[BaseModel], name: str, text: str) -> Any:
    """A field that can only be text stays text, even where it looks like a number."""
    field = kind.model_fields.get(name)
    kinds = set(_kinds(field.annotation)) if field is not None else {str}
    if not kinds & {int, float, bool, list}:
        return text
    if bool in kinds and text.lower() in {"true", "false"}:
        return text.lower() == "true"  # forms that Python writes say False
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return [text] if list in kinds else text
    return [value] if list in kinds and not isinstance(value, list) else value


def _kinds(annotation: Any) -> Iterator[Any]:
    """Every plain type inside an annotation such as `Annotated[int | None, ...]`; literals count as text."""
    origin, inner = getattr(annotation, "__origin__", None), get_args(annotation)
    if origin in (list, tuple):
        yield list
    if not inner:
        yield str if isinstance(annotation, str) else annotation
    for part in inner:
        yield from _kinds(part)


def openapi_body(kind: type[BaseModel]) -> dict[str, Any]:
    """What the OpenAPI document says of such a request: a form with `image` and the fields, or the file and a query."""
    fields = kind.model_json_schema()["properties"]
    raw = {"schema": {"type": "string", "format": "binary"}}
    parameters = [
        {"name": name, "in": "query", "required": False, "schema": field, "description": field.get("description", "")}
        for name, field in fields.items()
    ]
    content = {"multipart/form-data": {"schema": ref(form_name(kind))}, **dict.fromkeys(RAW_TYPES, raw)}
    return {"requestBody": {"required": True, "content": content}, "parameters": parameters}


def form_name(kind: type[BaseModel]) -> str:
    """UpsampleRequest travels as an UpsampleForm."""
    return kind.__name__.replace("Request", "Form")


def form_schema(kind: type[BaseModel]) -> dict[str, Any]:
    """The fields of `kind` and the file."""
    file = {"type": "string", "format": "binary", "description": "PNG, JPEG, WebP, GIF, BMP or TIFF."}
    fields = {FILE: file, **kind.model_json_schema()["properties"]}
    return {"type": "object", "required": [FILE], "properties": fields, "additionalProperties": False}
