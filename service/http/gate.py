"""What every request passes through: an id, a body limit, security headers, counting."""

import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import UNFORESEEN, ClientClosedError, CrossSiteError, ServiceError, TooLargeError
from service.http.admission import admit
from service.http.content_coding import coding_of, decoded, without_coding
from service.http.cors import headers_for, is_preflight, preflight_headers
from service.http.head import answer_head
from service.http.hosts import SAFE, HostPolicy
from service.http.problems import problem_response
from service.http.security_headers import with_security
from service.observability.logs import about
from service.operations.state import State

log = logging.getLogger("ganymede.requests")
REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}\Z")
BEFORE_ALL_IS_OPEN = frozenset({"/livez", "/readyz", "/metrics"})
"""Answered while bundles besides the default one are being opened; what names another one waits, as lists do."""


class Gate:
    """Raw ASGI, outermost: hosts and origins, request ids, drain, body size, headers and the request metrics."""

    def __init__(
        self,
        app: ASGIApp,
        state_of: Any,
        hosts: HostPolicy,
        max_body_bytes: int,
        larger: Mapping[str, int],
        release: Callable[[], bool] | None,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._state_of = state_of
        self._max_body = max_body_bytes
        self._larger = larger
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count, guard, pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state: State = self._state_of()
        exchange = _Exchange(scope, send, self._release)
        parent = header_of(scope, b"traceparent").decode("latin-1")
        traced = state.tracing.request(scope["method"], scope["path"], parent)
        with about(request_id=exchange.request_id), traced as span:
            exchange.traceparent = state.tracing.traceparent()
            await self._pass_on(scope, receive, exchange, state)
            span.answered(exchange.route, exchange.status or 499)

    async def _pass_on(self, scope: Scope, receive: Receive, exchange: "_Exchange", state: State) -> None:
        state.in_flight += 1
        try:
            exchange.origin = self._hosts.check(scope["method"], scope["http_version"], scope["headers"])
            exchange.varies = self._hosts.names_origins and scope["method"] in SAFE
            if is_preflight(scope["method"], scope["headers"]):
                await exchange.allow()
                return
            limit = self._larger.get(scope["path"], self._max_body)
            _refuse_large(scope, limit)
            await admit(scope, state)
            if state.opening is not None and scope["path"] not in BEFORE_ALL_IS_OPEN:
                await state.complete()
                exchange.is_last = True  # or its connection would never be answered below ASGI
            await self._answer(scope, limited(receive, limit), exchange, limit)
        except ClientDisconnect:  # it went in the middle of its body: nobody is answered, and nothing failed
            exchange.status = exchange.status or ClientClosedError.status
        except ServiceError as error:
            state.metrics.refused(error)
            await exchange.fail(error, scope, receive)
        except Exception:
            log.exception("unforeseen failure on %s %s", scope["method"], scope["path"])
            if exchange.status:  # half an answer cannot be taken back: the server cuts the connection
                raise
            await exchange.fail(ServiceError(UNFORESEEN), scope, receive)
        finally:
            state.in_flight -= 1
            exchange.report(state)

    async def _answer(self, scope: Scope, receive: Receive, exchange: "_Exchange", limit: int) -> None:
        """The application's answer, to a body that is plain and a method it has."""
        coding = coding_of(scope["headers"])
        if coding is not None:
            scope["headers"] = without_coding(scope["headers"])
            receive = limited(decoded(receive, coding), limit)
        if scope["method"] == "HEAD":
            await answer_head(self._app, scope, receive, exchange.send)
        else:
            await self._app(scope, receive, exchange.send)


def _refuse_large(scope: Scope, limit: int) -> None:
    length = header_of(scope, b"content-length") or b"0"
    if length.isdigit() and int(length) > limit:
        raise TooLargeError(f"the body has {int(length)} bytes; the limit is {limit}", headers={"Connection": "close"})


def header_of(scope: Scope, name: bytes) -> bytes:
    """The last header of that lower-case name; empty without one."""
    found = b""
    for key, value in scope["headers"]:
        if key == name:
            found = value
    return found


class _Exchange:
    """One request on its way: remembers the status and adds headers to the answer."""

    def __init__(self, scope: Scope, send: Send, release: Callable[[], bool] | None) -> None:
        asked = header_of(scope, b"x-request-id").decode("latin-1")
        self.request_id = asked if REQUEST_ID.match(asked) else secrets.token_hex(16)
        scope.setdefault("state", {})["request_id"] = self.request_id
        self._scope, self._send, self._release = scope, send, release
        self._started = time.perf_counter()
        self.status = 0
        self.traceparent: str | None = None
        self.origin: bytes | None = None
        """The foreign origin whose page may read the answer."""
        self.varies = False
        """Whether another origin would get other headers."""
        self.is_last = False
        """Whether the connection ends with the answer."""

    @property
    def route(self) -> str:
        """The template of the path that was asked for."""
        return getattr(self._scope.get("route"), "path", "none")

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = with_security(message["headers"], self.request_id)
            if self.traceparent is not None:
                message["headers"].append((b"traceparent", self.traceparent.encode()))
            message["headers"] += headers_for(self.origin) if self.origin is not None else []
            message["headers"] += [(b"vary", b"origin")] if self.varies else []
            is_last = self.is_last or (self._release is not None and self._release())
            message["headers"] += [(b"connection", b"close")] if is_last else []
        await self._send(message)

    async def allow(self) -> None:
        """Answer a preflight. Raises CrossSiteError for an origin that nobody named."""
        origin, self.origin = self.origin, None
        if origin is None:
            raise CrossSiteError("GANYMEDE_ALLOWED_ORIGINS does not name the origin of this page")
        headers = preflight_headers(origin, self._scope["headers"])
        await self.send({"type": "http.response.start", "status": 204, "headers": headers})
        await self.send({"type": "http.response.body", "body": b""})

    async def fail(self, error: ServiceError, scope: Scope, receive: Receive) -> None:
        if isinstance(error, ClientClosedError) or self.status:
            self.status = self.status or error.status
            return
        await problem_response(error, scope["path"])(scope, receive, self.send)

    def report(self, state: State) -> None:
        path = self._scope["path"]
        report(state, self._scope["method"], path, self.route, self.status or 499, self._started, self.request_id)


def report(state: State, method: str, path: str, route: str, status: int, started: float, request_id: str) -> None:
    """Count a request that ended, and log it where machines read the log. `started` is a time.perf_counter()."""
    took = time.perf_counter() - started
    state.metrics.add("requests", route=route, status=str(status))
    state.metrics.observe("request_seconds", took, route=route)
    if log.isEnabledFor(logging.INFO):
        with about(request_id=request_id):
            extra = {"duration_ms": round(took * 1e3, 2), "status": status}
            log.info("%s %s %s", method, path, status, extra=extra)


def limited(receive: Receive, limit: int) -> Receive:
    """A receive that raises TooLargeError as soon as the body has more than `limit` bytes, whatever it said of its length."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                raise TooLargeError(f"the body has more than {limit} bytes", headers={"Connection": "close"})
        return message

    return counted
