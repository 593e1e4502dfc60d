"""Every failure as problem+json: ours and the framework's. Those that nobody foresaw end in the gate."""

import difflib
import json
import secrets
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from models.errors import ModelsError
from service.errors import InvalidValueError, MalformedError, OverloadedError, ServiceError
from service.http.security_headers import lines_of, with_security
from service.http.state import state_of

MEDIA_TYPE = "application/problem+json"
MOST_REFUSALS = 256
_BROKEN = {"json_invalid", "json_type"}
# Made once: at overload refusals are most of what is answered, and building an encoder costs more than using it.
_as_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_refusals: dict[tuple[str, ...], tuple[bytes, bytes]] = {}


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(ValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ModelsError, _models_error)


def problem_response(error: ServiceError, instance: str) -> Response:
    """The response of one of our errors."""
    body = _as_json(error.problem(instance)).encode()
    return Response(body, error.status, error.headers, media_type=MEDIA_TYPE)


def problem_lines(error: ServiceError, instance: str) -> tuple[bytes, bytes]:
    """The same below ASGI: header lines and body. A refusal is written once: at overload they are nearly all answers."""
    if not isinstance(error, OverloadedError):
        return _written(error, instance)
    key = (instance, error.detail, *error.headers.values())
    if key not in _refusals:
        if len(_refusals) >= MOST_REFUSALS:
            _refusals.clear()
        _refusals[key] = _written(error, instance)
    return _refusals[key]


def _written(error: ServiceError, instance: str) -> tuple[bytes, bytes]:
    response = problem_response(error, instance)
    return lines_of(response.raw_headers), bytes(response.body)


def problem_bytes(error: ServiceError) -> bytes:
    """A whole HTTP answer, where there is no request that ASGI could answer; the connection is closed after it."""
    response = problem_response(error, "/")
    headers = with_security([*response.raw_headers, (b"connection", b"close")], secrets.token_hex(16))
    first = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n".encode()
    return first + lines_of(headers) + b"\r\n" + bytes(response.body)


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    state_of(request.app).metrics.refused(error)
    return problem_response(error, request.url.path)


async def _models_error(request: Request, error: Exception) -> Response:
    return problem_response(InvalidValueError(str(error)), request.url.path)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError | ValidationError)
    return problem_response(invalid(error.errors(), known_fields(request)), request.url.path)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, ServiceError):  # a body that the gate broke off while the framework read it
        return await _service_error(request, error.__cause__)
    body = {
        "type": "about:blank",
        "title": str(error.detail),
        "status": error.status_code,
        "detail": f"{request.method} {request.url.path}: {error.detail}",
        "instance": request.url.path,
    }
    return JSONResponse(body, error.status_code, error.headers, media_type=MEDIA_TYPE)


def invalid(errors: Sequence[Any], fields: Sequence[str]) -> ServiceError:
    """Pydantic's findings as one error: 400 for JSON that cannot be read, else 422 with a pointer each."""
    if any(e["type"] in _BROKEN for e in errors):
        return MalformedError("the body is not valid JSON")
    rows = [{"pointer": _pointer(e["loc"]), "detail": _sentence(e, fields)} for e in errors[:20]]
    return InvalidValueError("; ".join(f"{r['pointer']}: {r['detail']}" for r in rows[:3]), errors=rows)


def _pointer(location: Sequence[Any]) -> str:
    parts = [str(part) for part in location if part not in {"body", "query", "path"}]
    return "/" + "/".join(parts)


def _sentence(error: Any, fields: Sequence[str]) -> str:
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(error["loc"][-1]), fields, 1, 0.5)
        return f"unknown field; did you mean {near[0]!r}?" if near else "unknown field"
    return str(error["msg"]).removeprefix("Value error, ")


def known_fields(request: Request) -> list[str]:
    """Names of the fields the route's body takes, for suggestions."""
    route = request.scope.get("route")
    body = getattr(route, "body_field", None)
    annotation = getattr(getattr(body, "field_info", None), "annotation", None)
    return list(getattr(annotation, "model_fields", {}))
