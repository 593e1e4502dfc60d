"""A short way for the routes that are asked most: JSON in, validated once, answered, without the framework's machinery.

It changes no answer. Whatever is out of the ordinary (another content type, a body that does not validate) is handed,
body and all, to the application's own route, which says what is wrong. What it saves is in docs/experiments.md.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.errors import ModelsError
from service.errors import ClientClosedError, InvalidValueError
from service.http.problems import invalid

T = TypeVar("T")


@dataclass(frozen=True)
class Short:
    """An endpoint that takes one JSON body. `path` names the route in metrics, as the framework's routes do."""

    path: str
    body: type[BaseModel]
    endpoint: Callable[[Request, Any], Awaitable[Response]]
    is_plain: Callable[[Scope, Any], bool] = lambda scope, body: False
    plain: Callable[[Scope, Receive, Send, Any], Awaitable[None]] | None = None


class Quick:
    """Raw ASGI, innermost: everything that guards the application stands before it."""

    def __init__(self, app: ASGIApp, routes: Mapping[tuple[str, str], Short]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a short route, or pass on."""
        short = self._routes.get((scope.get("method", ""), scope["path"])) if scope["type"] == "http" else None
        if short is None or not _is_json(scope):
            await self._app(scope, receive, send)
            return
        data = await _body(receive)
        try:
            body = short.body.model_validate_json(data)
        except ValidationError:
            await self._app(scope, _again(data, receive), send)
            return
        scope["route"] = short
        if short.plain is not None and short.is_plain(scope, body):
            await _translated(short.plain(scope, _again(data, receive), send, body))
            return
        response = await _translated(short.endpoint(Request(scope, _again(data, receive), send), body))
        await response(scope, receive, send)


async def _translated(work: Awaitable[T]) -> T:
    """The answer; failures become errors of ours, which the gate turns into problem+json."""
    try:
        return await work
    except ModelsError as error:
        raise InvalidValueError(str(error)) from None
    except ValidationError as error:
        raise invalid(error.errors()) from None


async def _body(receive: Receive) -> bytes:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientClosedError("the client hung up")
    data: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return data
    parts = [data]
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientClosedError("the client hung up")
        parts.append(message.get("body", b""))
    return b"".join(parts)


def _is_json(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"content-type":
            return bool(value == b"application/json")
    return False


def _again(data: bytes, receive: Receive) -> Receive:
    """A receive that gives the body once more, then what comes after it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": data, "more_body": False}

    return replay
