"""What the OpenAPI document says of answers: representations, problems, headers."""

from typing import Any

PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_STATUSES = {
    400: "Malformed request",
    401: "API key needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    410: "Gone",
    413: "Too large",
    415: "Not a supported media type",
    422: "Invalid value",
    429: "Queue or quota full; see Retry-After",
    501: "Needs a library that is not installed",
    503: "Loading, draining, or the store is away",
    504: "Deadline passed",
    507: "Storage full",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/problem+json": {"schema": PROBLEM}}}
    for status, text in _STATUSES.items()
}
ENTRY: dict[str, Any] = {
    "type": "object",
    "required": ["index", "seed", "url", "b64_json", "width", "height", "label", "latent", "recipe"],
    "properties": {
        "index": {"type": "integer"},
        "seed": {"type": ["integer", "null"]},
        "url": {"type": ["string", "null"]},
        "b64_json": {"type": ["string", "null"]},
        "width": {"type": "integer"},
        "height": {"type": "integer"},
        "label": {"type": ["string", "null"]},
        "latent": {"type": ["string", "null"]},
        "recipe": {"type": "object"},
    },
}
ENVELOPE: dict[str, Any] = {
    "type": "object",
    "required": ["id", "model", "created", "provider", "data", "timing_ms"],
    "properties": {
        "id": {"type": "string"},
        "model": {"type": "string"},
        "created": {"type": "integer"},
        "provider": {"type": "string"},
        "data": {"type": "array", "items": ENTRY},
        "timing_ms": {"type": "object", "additionalProperties": {"type": "number"}},
    },
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_OK: dict[str, Any] = {
    "description": "The picture, a contact sheet of several, or another representation by Accept",
    "content": {
        "image/png": _BINARY,
        "image/webp": _BINARY,
        "image/jpeg": _BINARY,
        "application/json": {"schema": ENVELOPE},
        "application/zip": _BINARY,
        "application/x-npy": _BINARY,
        "text/event-stream": {"schema": {"type": "string"}},
    },
}
ACCEPTED: dict[str, Any] = {
    "description": "Queued as a job; Location is its address",
    "content": {"application/json": {"schema": {"type": "object", "required": ["id", "state", "urls"]}}},
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


def document(schema: dict[str, Any] | None = None, *, array: bool = False) -> dict[int | str, dict[str, Any]]:
    """Responses of an endpoint that answers JSON (and, with `array`, `application/x-npy`)."""
    content: dict[str, Any] = {"application/json": {"schema": schema or {"type": "object"}}}
    if array:
        content["application/x-npy"] = _BINARY
    return {200: {"description": "The answer", "content": content}, 202: ACCEPTED, **PROBLEMS}
