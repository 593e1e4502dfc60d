"""Plain requests without task, scope and framework: from the parsed head and body to the bytes of the answer.

Only for a process without keys and traces, which the gate sees to, and only for POST /sample of one picture as PNG without
further wishes; anything else is given back and takes the ordinary way. Both give the same answers (a test compares them).
"""

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from models.errors import ModelsError
from service.engine.model import Model
from service.errors import UNFORESEEN, ServiceError
from service.http.fast.heads import KnownHeads
from service.http.fast.lane import Drawn, Lane, Ride
from service.http.fast.plain import headers_of, wants_png
from service.http.gate import REQUEST_ID, SECURITY_LINES, RawHeaders, lines_of, report
from service.http.hosts import HostPolicy
from service.http.problems import problem_response
from service.observability.logs import about
from service.operations.sample import SampleRequest
from service.operations.state import State

log = logging.getLogger("ganymede.requests")
PATH, MOST_BYTES = "/sample", 4096
ELSEWHERE = frozenset(
    {b"expect", b"upgrade", b"transfer-encoding", b"x-forwarded-for", b"x-forwarded-proto", b"content-encoding"}
)
"""Headers that uvicorn or the gate has a say in: they must see the request."""


Send = Callable[[int, bytes, bytes], None]
"""Takes status, header lines and body of an answer."""


@dataclass(eq=False, slots=True)
class Order:
    """The head of a request that may be plain: its id, when it came, its body's bytes, and whether the caller chose the id."""

    request_id: str
    started: float
    length: int
    is_named: bool = False


class Express:
    """The plain requests of one process."""

    def __init__(self, state: State, lane: Lane, hosts: HostPolicy) -> None:
        self._state, self._lane, self._hosts = state, lane, hosts
        self._most = min(MOST_BYTES, state.settings.max_body_bytes)
        self._heads = KnownHeads()
        self.is_open = state.keyring is None and not state.tracing.is_on

    def order(self, method: bytes, url: bytes, headers: RawHeaders) -> Order | None:
        """What the head asks for, if it may be plain."""
        if not self.is_open or url != b"/sample" or method != b"POST" or not wants_png(headers):
            return None
        if not self._is_let_in(headers):
            return None
        kind, length, request_id = b"", b"", b""
        for name, value in headers:
            if name in ELSEWHERE or (name == b"content-type" and kind):
                return None
            if name == b"content-type":
                kind = value
            elif name == b"content-length":
                length = value
            elif name == b"x-request-id":
                request_id = value
        if kind != b"application/json" or not length.isdigit() or int(length) > self._most:
            return None
        asked = request_id.decode("latin-1")
        own_id = asked if REQUEST_ID.match(asked) else secrets.token_hex(16)
        return Order(own_id, time.perf_counter(), int(length), bool(request_id))

    def _is_let_in(self, headers: RawHeaders) -> bool:
        """Whether the gate would let it in and add nothing to its answer; if not, the gate says so."""
        try:
            return self._hosts.check("POST", "1.1", headers) is None
        except ServiceError:
            return False

    def remember(self, order: Order, data: bytes) -> None:
        """`data` was one whole request with that head; one with an id of its own will not come again."""
        if not order.is_named:
            self._heads.learn(data, order.length)

    def recall(self, data: bytes) -> tuple[Order, bytes] | None:
        """Head and body, if `data` is one whole request with a head that is remembered."""
        body = self._heads.body_of(data)
        return None if body is None else (Order(secrets.token_hex(16), time.perf_counter(), len(body)), body)

    def take(self, order: Order, body: bytes, caller: str, send: Send) -> "Errand | None":
        """Begin, and call `send` once, perhaps at once. None: not plain after all, nothing was done."""
        try:
            request = SampleRequest.model_validate_json(body)
            model = self._lane.model_for(request)
        except (ValidationError, ServiceError, ModelsError):  # the ordinary way says what is wrong
            return None
        if model is None:
            return None
        errand = Errand(self._state, order, send)
        errand.begin(self._lane, model, request, caller)
        return errand


class Errand:
    """One plain request: the reply of its ride. It counts, logs and answers as the gate does."""

    __slots__ = ("_order", "_ride", "_send", "_state")

    def __init__(self, state: State, order: Order, send: Send) -> None:
        self._state, self._order, self._send = state, order, send
        self._ride: Ride | None = None

    def begin(self, lane: Lane, model: Model, request: SampleRequest, caller: str) -> None:
        """Start the ride; what a full queue or a stopping engine refuses is answered here and now."""
        self._state.in_flight += 1
        try:
            self._ride = lane.start(model, request, caller, self)
        except ServiceError as error:
            self.failed(error)
        except Exception:  # as in the gate: whatever it is, the client gets a problem and never a cut connection
            with about(request_id=self._order.request_id):
                log.exception("unforeseen failure on POST %s", PATH)
            self.failed(ServiceError(UNFORESEEN))

    def drawn(self, picture: Drawn) -> None:
        """Answer 200."""
        self._answer(200, headers_of(picture), picture.png)

    def failed(self, error: Exception) -> None:
        """Answer with a problem."""
        known = error if isinstance(error, ServiceError) else ServiceError("the request failed")
        self._state.metrics.refused(known)
        response = problem_response(known, PATH)
        self._answer(response.status_code, response.raw_headers, bytes(response.body))

    def hang_up(self) -> None:
        """The client went away; nobody is answered."""
        ride, self._ride = self._ride, None
        if ride is not None:
            ride.cancel()
        self._ended(499)

    def _answer(self, status: int, headers: RawHeaders, body: bytes) -> None:
        own = b"x-request-id: %b\r\n" % self._order.request_id.encode()
        self._ride = None  # no cycle is left: what a request held is free at once, not when a collector comes by
        self._send(status, lines_of(headers) + own + SECURITY_LINES, body)
        self._ended(status)

    def _ended(self, status: int) -> None:
        self._state.in_flight -= 1
        report(self._state, "POST", PATH, PATH, status, self._order.started, self._order.request_id)
