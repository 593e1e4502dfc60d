"""Requests that carry a picture: multipart/form-data with an `image` part, or the picture itself with a query string."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, get_args

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from service.errors import InvalidValueError, MalformedError, UnsupportedPictureError

IMAGE = "image"
MAX_FIELDS = 64
Body = TypeVar("Body", bound=BaseModel)


async def read_form(request: Request, body: type[Body]) -> tuple[Body, dict[str, bytes]]:
    """The validated fields and the picture's bytes.

    Raises UnsupportedPictureError for another kind of body, MalformedError for a broken one, InvalidValueError
    without a picture, RequestValidationError for bad fields.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        pairs, image = await _multipart(request)
    elif kind.startswith("image/") or kind == "application/octet-stream":
        pairs, image = request.query_params.multi_items(), await request.body()
    else:
        raise UnsupportedPictureError("send multipart/form-data with a file named image, or an image as the body")
    if not image:
        raise InvalidValueError("there is no picture", errors=[{"pointer": "/image", "detail": "missing or empty"}])
    return validate(body, pairs), {IMAGE: image}


async def _multipart(request: Request) -> tuple[list[tuple[str, str]], bytes]:
    image, pairs = b"", []
    await request.body()  # kept by the request, so that watching for a hung-up client can start after the form
    try:
        async with request.form(max_files=1, max_fields=MAX_FIELDS) as form:
            for name, value in form.multi_items():
                if not isinstance(value, UploadFile):
                    pairs.append((name, value))
                elif name == IMAGE:
                    image = await value.read()
                else:
                    pairs.append((name, value.filename or ""))
    except (MultiPartException, KeyError, UnicodeDecodeError):
        raise MalformedError("the multipart body cannot be read") from None
    return pairs, image


def validate(body: type[Body], pairs: Iterable[tuple[str, str]]) -> Body:
    """Text fields as the model's own types: numbers, true/false and JSON where the model takes no plain text.

    A field that comes several times is a list. Raises RequestValidationError.
    """
    values: dict[str, Any] = {}
    for name, text in pairs:
        value = _value(body, name, text)
        values[name] = value if name not in values else [*_listed(values[name]), *_listed(value)]
    try:
        return body.model_validate(values)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _value(body: type[BaseModel], name: str, text: str) -> Any:
    field = body.model_fields.get(name)
    kinds = set(_kinds(field.annotation)) if field is not None else {str}
    if str in kinds and not kinds & {int, float, bool, list}:
        return text
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


def picture_body(body: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that takes a picture: a form with `image` and the fields, or the picture itself."""
    form: dict[str, Any] = body.model_json_schema(ref_template="#/components/schemas/{model}")
    form["properties"] = {IMAGE: {"type": "string", "format": "binary"}, **form["properties"]}
    form["required"] = [IMAGE]
    form.pop("$defs", None)
    raw = {"schema": {"type": "string", "format": "binary"}}
    kinds = dict.fromkeys(("image/png", "image/jpeg", "image/webp"), raw)
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}, **kinds}}}
