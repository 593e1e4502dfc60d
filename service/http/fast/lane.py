"""The plain case of POST /sample, one picture of a seed as PNG from a generator of one level, without a task of its own.

Its pictures are those of the ordinary way, byte for byte (a test compares them). Requests are rides: begun by a call, ended
by one, and those of a batch are turned into pixels together. What it saves is in docs/experiments.md.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from models.mathematics.latents import cut, draw, truncate
from models.runtimes.base import Array, to_pixels
from service.engine.batcher import Ticket
from service.engine.engine import Engine
from service.engine.model import Model
from service.errors import DeadlineError, ServiceError
from service.http.responses.respond import INLINE_PIXELS
from service.images.encode import Pixels, encode, magnify
from service.operations.generate import Want, label_index, recipe_of
from service.operations.sample import SampleRequest, foresee
from service.operations.state import State

log = logging.getLogger("ganymede.lane")
UNSEEN = np.empty(0, np.float32)
"""The latent of a ride: its seed says all of it, and the engine draws it."""
SWEEP_S = 0.25
"""Seconds between two looks for rides past their deadline; the batcher drops those that it meets at once."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A finished picture: its PNG, and how long it took, in seconds."""

    model: Model
    seed: int
    png: bytes
    compute_s: float
    encode_s: float

    @property
    def server_timing(self) -> str:
        """The value of `Server-Timing`."""
        return f"compute;dur={self.compute_s * 1e3:.2f}, encode;dur={self.encode_s * 1e3:.2f}"


class Reply(Protocol):
    """Where a ride ends: one of the two is called, once, in the event loop."""

    def drawn(self, picture: Drawn) -> None:
        """Here it is."""

    def failed(self, error: Exception) -> None:
        """There will be none."""


@dataclass(eq=False, slots=True)
class Ride:
    """One request on its way; the engine takes it for a future."""

    lane: "Lane"
    model: Model
    body: SampleRequest
    want: Want
    reply: Reply
    started: float
    deadline: float
    ticket: Ticket | None = None
    images: Array | None = None
    ended: bool = False

    def done(self) -> bool:
        """Whether its end is known."""
        return self.ended

    def set_result(self, images: Array) -> None:
        """Its picture is computed."""
        self.images = images
        self.lane.computed(self)

    def set_exception(self, error: Exception) -> None:
        """It will not be."""
        if self.lane.end(self):
            self.reply.failed(error)

    def cancel(self) -> None:
        """The client hung up: its place is free at once, and nobody is answered."""
        ticket = self.ticket
        if self.lane.end(self) and ticket is not None and self.images is None:
            self.lane.engine.cancel(ticket)


class Lane:
    """The rides of one process. Everything happens in the event loop that made it."""

    def __init__(self, state: State, engine: Engine) -> None:
        self._state, self.engine = state, engine
        self._loop = asyncio.get_running_loop()
        self._under_way: dict[Ride, None] = {}
        self._computed: list[Ride] = []
        self._sweep: asyncio.TimerHandle | None = None

    def model_for(self, body: SampleRequest) -> Model | None:
        """The model of a plain request; None for one that needs the ordinary way. Raises what `foresee` raises."""
        if body.seed is None or body.n != 1 or body.save_as or body.webhook or body.timeout_ms is not None:
            return None
        model = foresee(self._state, body)
        image = model.manifest.image
        small = image.width * image.height * body.scale * body.scale <= INLINE_PIXELS
        return model if small and len(model.manifest.levels) == 1 and model.manifest.latent.cuts else None

    def start(self, model: Model, body: SampleRequest, caller: str, reply: Reply) -> Ride:
        """Begin. Raises OverloadedError when too much waits."""
        assert body.seed is not None
        self.engine.admit(1)  # before anything is made: at overload nearly all are refused
        seed, latent, truncation = body.seed, model.manifest.latent, body.truncation
        now, timeout_s = time.monotonic(), self._state.settings.timeout_s
        label = label_index(model, body.label, seed)
        ride = Ride(self, model, body, Want(UNSEEN, seed, label), reply, time.perf_counter(), now + timeout_s)
        rows = model.label_rows
        ride.ticket = self.engine.start(
            model,
            lambda: cut(latent, truncate(draw(latent, (seed,)), truncation))[0],
            None if rows is None or label is None else rows[label : label + 1],
            ride,
            caller=caller,
            deadline=ride.deadline,
        )
        self._under_way[ride] = None
        if self._sweep is None:
            self._sweep = self._loop.call_later(min(SWEEP_S, timeout_s), self._drop_late)
        return ride

    def end(self, ride: Ride) -> bool:
        """Take a ride off the road; False when it had ended before."""
        if ride.ended:
            return False
        ride.ended = True
        self._under_way.pop(ride, None)
        ride.ticket = None  # it knows the ride: a cycle would keep a batch's pictures until a collector comes by
        return True

    def computed(self, ride: Ride) -> None:
        """Finish it with the others of its batch, all of which are told in the same turn of the loop."""
        if not self._computed:
            self._loop.call_soon(self._finish)
        self._computed.append(ride)

    def _finish(self) -> None:
        rides, self._computed = self._computed, []
        computed = time.perf_counter()
        by_model: dict[Model, list[Ride]] = {}
        for ride in rides:
            if self.end(ride):
                by_model.setdefault(ride.model, []).append(ride)
        for model, group in by_model.items():
            pixels = to_pixels(np.concatenate([ride.images for ride in group if ride.images is not None]))
            self._state.metrics.add("pictures", len(group), model=model.bundle.name)
            for ride, own in zip(group, pixels, strict=True):
                self._answer(ride, own, computed)

    def _answer(self, ride: Ride, pixels: Pixels, computed: float) -> None:
        began, body = time.perf_counter(), ride.body
        try:
            recipe = recipe_of(ride.model, ride.want, body.truncation, body.scale, "sample")
            png = encode(magnify(pixels, body.scale), "png", recipe, body.metadata)
        except Exception:  # one picture that cannot be written must not take its neighbours with it
            log.exception("a picture could not be encoded")
            ride.reply.failed(ServiceError("the picture could not be encoded"))
            return
        took = time.perf_counter() - began
        self._state.metrics.observe("encode_seconds", took, format="image/png")
        ride.reply.drawn(Drawn(ride.model, ride.want.seed or 0, png, computed - ride.started, took))

    def _drop_late(self) -> None:
        """Rides of a device that does not come back in time are answered, too. All have one limit: oldest first."""
        self._sweep, now = None, time.monotonic()
        while self._under_way and (ride := next(iter(self._under_way))).deadline <= now:
            if ride.ticket is not None:
                self.engine.cancel(ride.ticket)
            ride.set_exception(DeadlineError("the deadline passed before the answer was ready"))
        if self._under_way:
            self._sweep = self._loop.call_later(SWEEP_S, self._drop_late)
