"""The plain case of POST /sample, one picture of a seed as PNG, by the shortest way.

Its answer is that of the ordinary way, byte for byte (a test compares them). Whatever else is wished, in the body or by a
header, takes the ordinary way. What it saves is in docs/experiments.md.
"""

import asyncio
import time
from typing import Any

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from models.latents import draw, truncate
from models.runtimes.base import to_pixels
from service.images.encode import encode, magnify
from service.operations.generate import Want, label_index, recipe_of
from service.operations.sample import SampleRequest, foresee
from service.routes.negotiate import PICTURE_TYPES, choose
from service.routes.respond import INLINE_PIXELS, unless_gone
from service.state import State

WISHES = frozenset({b"prefer", b"idempotency-key", b"x-deadline-ms"})
"""Headers that change what is done."""


def is_plain(scope: Scope, body: Any) -> bool:
    """Whether a valid request is the plain case, as far as can be seen without the model."""
    state: State = scope["app"].state.ganymede
    asked = isinstance(body, SampleRequest) and body.seed is not None and body.n == 1
    if not asked or state.engine is None or body.save_as or body.webhook or body.timeout_ms is not None:
        return False
    accept = None
    for name, value in scope["headers"]:
        if name in WISHES:
            return False
        if name == b"accept":
            accept = value.decode("latin-1") if accept is None else "*/*;twice"
    return choose(accept, PICTURE_TYPES) == "image/png"


async def answer_plain(scope: Scope, receive: Receive, send: Send, body: SampleRequest) -> None:
    """Draw, compute, encode, send. Raises what the ordinary way raises."""
    state: State = scope["app"].state.ganymede
    assert state.engine is not None
    assert body.seed is not None
    model = foresee(state, body)
    want = Want(draw(model.manifest.latent, (body.seed,)), body.seed, label_index(model, body.label, body.seed))
    caller = scope["state"].get("caller") or (scope["client"][0] if scope["client"] else "")
    started = time.perf_counter()
    work = state.engine.generate(
        model,
        truncate(want.vector, body.truncation),
        [want.label],
        caller=caller,
        deadline=time.monotonic() + state.settings.timeout_s,
    )
    images = await unless_gone(Request(scope, receive), work, state.settings.timeout_s)
    computed = time.perf_counter()
    pixels = magnify(to_pixels(images)[0], body.scale)
    recipe = recipe_of(model, want, body.truncation, body.scale, "sample")
    with state.tracing.span("encode", format="image/png"):
        if pixels.shape[0] * pixels.shape[1] <= INLINE_PIXELS:
            data = encode(pixels, "png", recipe, body.metadata)
        else:
            loop = asyncio.get_running_loop()
            data = await loop.run_in_executor(state.encoders, encode, pixels, "png", recipe, body.metadata)
    encoded = time.perf_counter()
    state.metrics.observe("encode_seconds", encoded - computed, format="image/png")
    timing = f"compute;dur={(computed - started) * 1e3:.2f}, encode;dur={(encoded - computed) * 1e3:.2f}"
    headers = [
        (b"server-timing", timing.encode()),
        (b"ganymede-model", model.reference.encode()),
        (b"ganymede-provider", model.provider.encode()),
        (b"ganymede-seed", b"%d" % body.seed),
        (b"content-length", b"%d" % len(data)),
        (b"content-type", b"image/png"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": data})
