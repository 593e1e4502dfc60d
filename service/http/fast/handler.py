"""POST /sample of one picture of one seed as PNG, from the body's bytes to those of the answer.

The functions are those of the ordinary way, and so are the answers (a test compares them); left out are tasks and futures.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from pydantic import ValidationError
from starlette.responses import Response

from models.errors import ModelsError
from models.mathematics.latents import Vector, cut, draw, truncate
from service.engine.batcher import Ticket
from service.engine.engine import Engine
from service.engine.model import Model
from service.errors import UNFORESEEN, DeadlineError, ServiceError
from service.http.fast.heads import Head, Heads
from service.http.gate import SECURITY_LINES, lines_of, report
from service.http.hosts import HostPolicy
from service.http.problems import problem_response
from service.http.responses.represent import represent
from service.http.responses.respond import INLINE_PIXELS
from service.images.encode import Pixels, magnify
from service.observability.logs import about
from service.operations.generate import Want, describe, label_index
from service.operations.results import Pictures
from service.operations.sample import SampleRequest, foresee, pixels_of
from service.operations.state import State

log = logging.getLogger("ganymede.requests")
PATH, MOST_BODY_BYTES = "/sample", 4096
NO_VECTOR: Vector = np.empty(0, np.float32)
"""A seed says all of a picture's latent, which is drawn with its batch."""
LARGER_WISHES = frozenset({"save_as", "webhook", "timeout_ms"})
Send = Callable[[int, bytes, bytes], None]
"""Takes status, header lines and body of an answer."""


class SampleHandler:
    """The fast way of one process without keys and traces, which are the gate's; all in the event loop."""

    def __init__(self, state: State, engine: Engine, hosts: HostPolicy) -> None:
        self._state, self._engine = state, engine
        self.heads = Heads(min(MOST_BODY_BYTES, state.settings.max_body_bytes), hosts)

    def start(self, head: Head, body: bytes, caller: str, send: Send) -> "PictureRequest | None":
        """Begin, and call `send` once, perhaps at once. None: the ordinary way has to answer, nothing was done."""
        try:
            request = SampleRequest.model_validate_json(body)
            model = self._model_for(request)
        except (ValidationError, ServiceError, ModelsError):  # the ordinary way says what is wrong
            return None
        if model is None:
            return None
        want = Want(NO_VECTOR, request.seed, label_index(model, request.label, request.seed))
        named = head.request_id or secrets.token_hex(16)
        picture = PictureRequest(self._state, self._engine, model, request, named, send, want)
        picture.start(caller)
        return picture

    def _model_for(self, request: SampleRequest) -> Model | None:
        if request.seed is None or request.n != 1 or not LARGER_WISHES.isdisjoint(request.model_fields_set):
            return None
        model = foresee(self._state, request)
        is_small = pixels_of(model, 1, request.scale) <= INLINE_PIXELS
        return model if is_small and len(model.manifest.levels) == 1 and model.manifest.latent.cuts else None


@dataclass(eq=False, slots=True)
class PictureRequest:
    """One request; the engine tells it of its pixels as it would tell a future. Counts, logs and answers as the gate does."""

    state: State
    engine: Engine
    model: Model
    body: SampleRequest
    request_id: str
    send: Send | None
    want: Want
    started: float = field(default_factory=time.perf_counter)
    ticket: Ticket | None = None
    timer: asyncio.TimerHandle | None = None

    def start(self, caller: str) -> None:
        """Queue it; what a full queue or a stopping engine refuses is answered here and now."""
        self.state.in_flight += 1
        rows, label, timeout_s = self.model.label_rows, self.want.label, self.state.settings.timeout_s
        row = None if rows is None or label is None else rows[label : label + 1]
        try:
            self.engine.admit(1)  # before anything is made: at overload nearly all are refused
            deadline = time.monotonic() + timeout_s
            self.ticket = self.engine.start(self.model, self._noise, row, self, caller=caller, deadline=deadline)
            self.timer = asyncio.get_running_loop().call_later(timeout_s, self._expire)
        except ServiceError as error:
            self.set_exception(error)
        except Exception:  # as in the gate: whatever it is, the client gets a problem and never a cut connection
            with about(request_id=self.request_id):
                log.exception("unforeseen failure on POST %s", PATH)
            self.set_exception(ServiceError(UNFORESEEN))

    def done(self) -> bool:
        """Whether it is answered, or nobody waits."""
        return self.send is None

    def set_result(self, pixels: Pixels) -> None:
        """Answer 200 with the picture, of pixels [1, h, w, c]."""
        computed, body, model = time.perf_counter(), self.body, self.model
        try:
            shown = magnify(pixels, body.scale)
            pictures = describe(model, [self.want], shown, body.truncation, body.scale, "sample")
            timing_ms = {"compute": (computed - self.started) * 1e3}
            response = represent(Pictures(model.reference, model.provider, pictures, timing_ms), "image/png", body)
        except Exception:  # one picture that cannot be written must not take the others of its batch with it
            log.exception("a picture could not be encoded")
            self.set_exception(ServiceError("the picture could not be encoded"))
            return
        self.state.metrics.add("pictures", 1, model=model.bundle.name)
        self.state.metrics.observe("encode_seconds", time.perf_counter() - computed, format="image/png")
        self._answer(response)

    def set_exception(self, error: Exception) -> None:
        """Answer with a problem."""
        known = error if isinstance(error, ServiceError) else ServiceError("the request failed")
        self.state.metrics.refused(known)
        self._answer(problem_response(known, PATH))

    def cancel(self) -> None:
        """The client hung up: its place is free at once, and nobody is answered."""
        self.engine.cancel(self.ticket)
        self._end(499)

    def _expire(self) -> None:
        self.engine.cancel(self.ticket)
        self.set_exception(DeadlineError("the deadline passed before the answer was ready"))

    def _noise(self) -> Vector:
        latent = self.model.manifest.latent
        return cut(latent, truncate(draw(latent, (self.want.seed or 0,)), self.body.truncation))[0]

    def _answer(self, response: Response) -> None:
        send = self.send
        if send is not None:
            self._end(response.status_code)
            own = b"x-request-id: %b\r\n" % self.request_id.encode()
            send(response.status_code, lines_of(response.raw_headers) + own + SECURITY_LINES, bytes(response.body))

    def _end(self, status: int) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.send = self.ticket = self.timer = None  # no cycle is left that a collector would have to find
        self.state.in_flight -= 1
        report(self.state, "POST", PATH, PATH, status, self.started, self.request_id)
