"""A route whose JSON body is validated once, straight from its bytes, without the framework's dependency machinery.

It changes no answer: what is spelt otherwise, or does not validate, goes to the framework, which says what is wrong.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.responses import Response


class JsonRoute(APIRoute):
    """For endpoints `(request, body)` that return a Response; `body` is a pydantic model."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        ordinary, endpoint = super().get_route_handler(), self.endpoint
        model: type[BaseModel] = endpoint.__annotations__["body"]

        async def handle(request: Request) -> Response:
            if request.headers.getlist("content-type") != ["application/json"]:
                return await ordinary(request)
            try:
                body = model.model_validate_json(await request.body())
            except ValidationError:
                return await ordinary(request)  # the body is kept in the request
            response: Response = await endpoint(request, body)
            return response

        return handle
