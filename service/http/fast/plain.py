"""The plain case of POST /sample over ASGI, for requests that need the gate: a lane's ride, awaited and sent.

Traced requests take the ordinary way: a ride has no context of its own to hang spans on.
"""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from service.errors import NotAcceptableError
from service.http.fast.lane import Drawn, Lane
from service.http.negotiation import PICTURE_TYPES, choose
from service.http.responses.respond import unless_gone
from service.operations.sample import SampleRequest

WISHES = frozenset({b"prefer", b"idempotency-key", b"x-deadline-ms"})
"""Headers that change what is done."""
RawHeaders = list[tuple[bytes, bytes]]


def wants_png(headers: RawHeaders) -> bool:
    """Whether the headers ask for a PNG and for nothing that changes what is done."""
    accept = None
    for name, value in headers:
        if name in WISHES or (name == b"accept" and accept is not None):
            return False
        if name == b"accept":
            accept = value.decode("latin-1")
    try:
        return choose(accept, PICTURE_TYPES) == "image/png"
    except NotAcceptableError:  # the ordinary way says so
        return False


def headers_of(picture: Drawn) -> RawHeaders:
    """What the answer says of its picture."""
    return [
        (b"server-timing", picture.server_timing.encode()),
        (b"ganymede-model", picture.model.reference.encode()),
        (b"ganymede-provider", picture.model.provider.encode()),
        (b"ganymede-seed", b"%d" % picture.seed),
        (b"content-length", b"%d" % len(picture.png)),
        (b"content-type", b"image/png"),
    ]


def is_plain(scope: Scope, body: Any) -> bool:
    """Whether a valid request is the plain case. Raises what `foresee` raises."""
    lane: Lane | None = scope["app"].state.lane
    traced = scope["app"].state.ganymede.tracing.is_on
    if lane is None or traced or not isinstance(body, SampleRequest) or not wants_png(scope["headers"]):
        return False
    return lane.model_for(body) is not None


async def answer_plain(scope: Scope, receive: Receive, send: Send, body: SampleRequest) -> None:
    """Ride, wait, send. Raises what the ordinary way raises."""
    lane: Lane = scope["app"].state.lane
    model = lane.model_for(body)
    assert model is not None
    caller = scope["state"].get("caller") or (scope["client"][0] if scope["client"] else "")
    reply = _Awaited()
    ride = lane.start(model, body, caller, reply)
    try:
        picture = await unless_gone(Request(scope, receive), reply.wait())
    except BaseException:
        ride.cancel()
        raise
    await send({"type": "http.response.start", "status": 200, "headers": headers_of(picture)})
    await send({"type": "http.response.body", "body": picture.png})


class _Awaited:
    """A reply that a task waits for."""

    def __init__(self) -> None:
        self._future: asyncio.Future[Drawn] = asyncio.get_running_loop().create_future()

    def drawn(self, picture: Drawn) -> None:
        if not self._future.done():
            self._future.set_result(picture)

    def failed(self, error: Exception) -> None:
        if not self._future.done():
            self._future.set_exception(error)

    async def wait(self) -> Drawn:
        return await self._future
