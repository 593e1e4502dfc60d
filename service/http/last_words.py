"""A problem as the last thing a connection is told, where there is no request that ASGI could answer."""

import secrets
from http import HTTPStatus

from service.errors import ServiceError
from service.http.problems import problem_response
from service.http.security_headers import RawHeaders, lines_of, with_security


def last_words(error: ServiceError) -> bytes:
    """A whole HTTP answer, after which the connection is closed."""
    response = problem_response(error, "/")
    headers: RawHeaders = with_security([*response.raw_headers, (b"connection", b"close")], secrets.token_hex(16))
    first = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n".encode()
    return first + lines_of(headers) + b"\r\n" + bytes(response.body)
