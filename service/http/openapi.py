"""What the OpenAPI document says of answers: representations, problems, headers."""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from service.errors import ClientClosedError, ServiceError
from service.http.openapi_links import link_answers
from service.http.openapi_schemas import COMPONENTS, ref
from service.http.picture_body import form_name, form_schema


def _refusals() -> dict[int, str]:
    """What each refusal says of itself, by its status; 405 is the framework's own."""
    found = {405: "The address takes other methods."}
    for kind in ServiceError.__subclasses__():
        if kind is not ClientClosedError:  # nobody is there to read it
            found[kind.status] = f"{found.get(kind.status, '')} {kind.__doc__ or kind.title}".strip()
    return dict(sorted(found.items()))


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/problem+json": {"schema": ref("Problem")}}}
    for status, text in _refusals().items()
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
EVENT_STREAM: dict[str, Any] = {
    "schema": {
        "description": "Events with id, event and data; data is JSON"
    }  # tools take a schema here for one event's
}
_OK: dict[str, Any] = {
    "description": "The picture, a contact sheet of several, or another representation by Accept",
    "content": {
        "application/json": {"schema": ref("Envelope")},  # first, as generated clients type the first they can
        "image/png": _BINARY,
        "image/webp": _BINARY,
        "image/jpeg": _BINARY,
        "application/zip": _BINARY,
        "application/x-npy": _BINARY,
        "application/x-npz": _BINARY,
        "text/event-stream": EVENT_STREAM,
    },
}
ACCEPTED: dict[str, Any] = {
    "description": "Queued as a job; Location is its address",
    "content": {"application/json": {"schema": ref("Job")}},
    "headers": {"Location": {"schema": {"type": "string"}}},
}
PICTURES: dict[int | str, dict[str, Any]] = {200: _OK, 202: ACCEPTED, **PROBLEMS}
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file",
        "content": dict.fromkeys(("image/png", "image/webp", "image/jpeg", "application/x-npy"), _BINARY),
    },
    304: {"description": "Not modified"},
    **PROBLEMS,
}


def document(
    name: str, *, status: int = 200, array: bool = False, job: bool = False, picture: bool = False
) -> dict[int | str, dict[str, Any]]:
    """Responses of an endpoint that answers a named JSON object.

    `array`: also `application/x-npy`; `picture`: also a picture; `job`: it may answer 202 instead.
    """
    content: dict[str, Any] = {"application/json": {"schema": ref(name)}}
    content |= {"application/x-npy": _BINARY} if array else {}
    content |= dict.fromkeys(("image/png", "image/webp", "image/jpeg"), _BINARY) if picture else {}
    answer: dict[int | str, dict[str, Any]] = {status: {"description": "The answer", "content": content}}
    return {**answer, **({202: ACCEPTED} if job else {}), **PROBLEMS}


def name_parts(app: FastAPI, forms: Iterable[type[BaseModel]]) -> None:
    """Put the parts that answers refer to, the forms that carry a picture, and the links into the OpenAPI document."""
    plain = app.openapi
    parts = {**COMPONENTS, **{form_name(kind): form_schema(kind) for kind in forms}}

    def openapi() -> dict[str, Any]:
        document = plain()
        document["components"]["schemas"].update(parts)
        link_answers(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
