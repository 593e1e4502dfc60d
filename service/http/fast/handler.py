"""POST /sample of seeds as PNG or array, from the body's bytes to those of the answer; one picture is its smallest case.

The functions are those of the ordinary way, and so are the answers (a test compares them); left out are tasks and futures.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import ValidationError

from models.errors import ModelsError
from models.mathematics.latents import Vector, cut, draw, seed_range, truncate
from service.engine.batcher import Ticket
from service.engine.engine import Engine
from service.engine.model import Model
from service.errors import UNFORESEEN, DeadlineError, ServiceError
from service.http.fast.heads import Head, Heads
from service.http.gate import report
from service.http.hosts import HostPolicy
from service.http.problems import problem_lines
from service.http.responses.represent import represent
from service.http.responses.respond import is_quick
from service.http.security_headers import SECURITY_LINES, lines_of
from service.images.encode import magnify
from service.images.png import Pixels
from service.observability.logs import about
from service.operations.generate import Want, describe, label_index, pixels_of
from service.operations.results import Pictures
from service.operations.sample import SampleRequest, precheck
from service.operations.state import State

log = logging.getLogger("ganymede.requests")
PATH, MOST_BODY_BYTES = "/sample", 4096
NO_VECTOR: Vector = np.empty(0, np.float32)
"""A seed says all of a picture's latent, which is drawn with its batch."""
LARGER_WISHES = frozenset({"save_as", "webhook", "timeout_ms"})
Send = Callable[[int, bytes, bytes], None]  # takes status, header lines and body of an answer


class SampleHandler:
    """The fast way of one process without keys and traces, which are the gate's; all in the event loop."""

    def __init__(self, state: State, engine: Engine, hosts: HostPolicy) -> None:
        self._state, self._engine = state, engine
        self.heads = Heads(min(MOST_BODY_BYTES, state.settings.max_body_bytes), hosts)

    def start(self, head: Head, body: bytes, caller: str, send: Send) -> "PictureRequest | None":
        """Begin, and call `send` once, perhaps at once. None: the ordinary way has to answer, nothing was done."""
        try:
            request = SampleRequest.model_validate_json(body)
            model = self._model_for(request, head.media)
        except (ValidationError, ServiceError, ModelsError):  # the ordinary way says what is wrong
            return None
        if model is None:
            return None
        seeds = request.seeds or seed_range(request.seed or 0, request.n)
        named = head.request_id or secrets.token_hex(16)
        wants = [Want(NO_VECTOR, seed, label_index(model, request.label, seed)) for seed in seeds]
        pictures = PictureRequest(self._state, self._engine, model, request, head.media, named, send, wants)
        pictures.start(caller)
        return pictures

    def _model_for(self, request: SampleRequest, media: str) -> Model | None:
        settings, count = self._state.settings, request.count
        if (request.seed is None and request.seeds is None) or not LARGER_WISHES.isdisjoint(request.model_fields_set):
            return None
        model = precheck(self._state, request).open_at(request.precision or settings.precision)
        if model is None or len(model.manifest.levels) != 1 or not model.manifest.latent.cuts:
            return None
        is_ours = count <= settings.async_pictures and is_quick(settings, media, pixels_of(model, count, request.scale))
        return model if is_ours else None


@dataclass(eq=False, slots=True)
class PictureRequest:
    """One request; the engine tells it of its pixels as it would tell a future. Counts, logs and answers as the gate does."""

    state: State
    engine: Engine
    model: Model
    body: SampleRequest
    media: str
    request_id: str
    send: Send | None
    wants: Sequence[Want]
    started: float = field(default_factory=time.perf_counter)
    ticket: Ticket | None = None
    timer: asyncio.TimerHandle | None = None

    def start(self, caller: str) -> None:
        """Queue it; what a full queue or a stopping engine refuses is answered here and now."""
        self.state.in_flight += 1
        timeout_s, table, count = self.state.settings.timeout_s, self.model.label_rows, len(self.wants)
        try:
            self.engine.admit(count)  # before anything is made: at overload nearly all are refused
            rows = None if table is None else table[[want.label or 0 for want in self.wants]]
            end = time.monotonic() + timeout_s
            self.ticket = self.engine.start(self.model, self._noise, rows, count, self, caller=caller, deadline=end)
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
        """Answer 200 with the pictures, of pixels [n, h, w, c]."""
        computed, body, model, media = time.perf_counter(), self.body, self.model, self.media
        try:
            shown = magnify(pixels, body.scale)
            pictures = describe(model, self.wants, shown, body.truncation, body.scale, "sample")
            timing_ms = {"compute": (computed - self.started) * 1e3}
            made = Pictures(model.reference, model.provider, pictures, timing_ms, stack=shown)
            response = represent(made, media, body)
        except Exception:  # one picture that cannot be written must not take the others of its batch with it
            log.exception("a picture could not be encoded")
            self.set_exception(ServiceError("the picture could not be encoded"))
            return
        self.state.metrics.add("pictures", len(self.wants), model=model.bundle.name)
        self.state.metrics.observe("encode_seconds", time.perf_counter() - computed, format=media)
        self._answer(response.status_code, lines_of(response.raw_headers), bytes(response.body))

    def set_exception(self, error: Exception) -> None:
        """Answer with a problem."""
        known = error if isinstance(error, ServiceError) else ServiceError("the request failed")
        self.state.metrics.refused(known)
        self._answer(known.status, *problem_lines(known, PATH))

    def cancel(self) -> None:
        """The client hung up: its place is free at once, and nobody is answered."""
        self.engine.cancel(self.ticket)
        self._end(499)

    def _expire(self) -> None:
        self.engine.cancel(self.ticket)
        self.set_exception(DeadlineError("the deadline passed before the answer was ready"))

    def _noise(self) -> Vector:
        latent, seeds = self.model.manifest.latent, [want.seed or 0 for want in self.wants]
        return cut(latent, truncate(draw(latent, seeds), self.body.truncation))[0]

    def _answer(self, status: int, head: bytes, body: bytes) -> None:
        send = self.send
        if send is not None:
            self._end(status)
            send(status, head + b"x-request-id: %b\r\n" % self.request_id.encode() + SECURITY_LINES, body)

    def _end(self, status: int) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.send = self.ticket = self.timer = None  # no cycle is left that a collector would have to find
        self.state.in_flight -= 1
        report(self.state, "POST", PATH, PATH, status, self.started, self.request_id)
