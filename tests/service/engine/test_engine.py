"""The engine over a real graph: floats, pixels and single levels are the same pictures; terms reach the queue."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.bundle import Bundle
from models.mathematics.latents import draw
from models.runtimes import open_runtime
from models.runtimes.base import DiscriminatorOutput, to_pixels
from models.runtimes.invariance import FREE
from service.engine.engine import Engine
from service.engine.model import Model
from service.errors import DeadlineError, OverloadedError, UnavailableError
from service.observability.metrics import Metrics


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine(Metrics(), max_batch=4, queue_pictures=8)
    yield engine
    await asyncio.to_thread(engine.close)


@pytest.fixture
def model(tiny: Bundle) -> Model:
    return Model(tiny, "cpu", open_runtime(tiny, "onnx", "cpu", 1), (FREE,), (4,))


async def test_floats_pixels_and_levels_are_the_same_pictures(engine: Engine, model: Model) -> None:
    """Float32 about -1..1 as training sees them, rounded where pixels are asked for; each level is told of once."""
    vectors, heard = draw(model.manifest.latent, [1, 2, 3]), []
    floats = await engine.generate(model, vectors, [None] * 3)
    assert (floats.dtype, floats.shape) == (np.dtype(np.float32), (3, 3, 16, 16))

    async def hears(level: int, pixels: np.ndarray) -> None:
        heard.append((level, pixels))

    pixels = await engine.pixels(model, vectors, [None] * 3, hears)
    assert np.array_equal(pixels, to_pixels(floats))
    assert [level for level, _ in heard] == [0]
    assert np.array_equal(heard[0][1], pixels)
    assert np.array_equal(await engine.run_level(model, 0, None, vectors, None), floats)


async def test_terms_reach_the_queue(engine: Engine, model: Model) -> None:
    """A deadline that has passed is told, whichever way the work came."""
    vectors, late = draw(model.manifest.latent, [1]), time.monotonic() - 1
    for work in (
        engine.generate(model, vectors, [None], deadline=late),
        engine.pixels(model, vectors, [None], deadline=late),
        engine.run_level(model, 0, None, vectors, None, deadline=late),
    ):
        with pytest.raises(DeadlineError):
            await work


async def test_a_ticket_says_who_asks_until_when_and_with_whom(engine: Engine, model: Model) -> None:
    """Only pictures of one version, precision, level, kind and size share a batch; who names nothing is nobody in no hurry."""
    vectors = draw(model.manifest.latent, [1, 2])

    def asked(previous: Any = None, *, as_pixels: bool = True, of: Model = model, **terms: Any) -> Any:
        return engine._ticket(of, 0, (previous, vectors, None), 2, asyncio.Future(), as_pixels, terms)  # type: ignore[arg-type]

    plain, late = asked(), asked(caller="ann", deadline=7.0, bulk=True)
    assert (plain.caller, plain.deadline, plain.bulk) == ("", None, False)
    assert (late.caller, late.deadline, late.bulk) == ("ann", 7.0, True)
    assert (plain.count, plain.batch, plain.max_batch, plain.padded) == (2, 4, 4, False)
    fixed = asked(of=replace(model, buckets=(8,)))
    assert (fixed.max_batch, fixed.padded) == (8, True)
    small, large = np.zeros((2, 3, 8, 8), np.float32), np.zeros((2, 3, 16, 16), np.float32)
    others = [asked(as_pixels=False), asked(small), asked(large), asked(of=replace(model, precision="fast"))]
    assert len({ticket.key for ticket in [plain, late, fixed, *others]}) == 5
    assert asked(small).key == asked(small + 1).key


async def test_what_was_begun_can_be_given_up(engine: Engine, model: Model) -> None:
    """Its places in the queue are free again, and nobody hears of it; what never began is no fault."""
    heard: Any = SimpleNamespace(done=lambda: False)
    vectors = draw(model.manifest.latent, [1, 2])
    with engine._worker._wake:  # the device takes nothing meanwhile
        ticket = engine.start(model, lambda: vectors, None, 2, heard)
        assert engine.waiting == 2
        engine.cancel(ticket)
        assert engine.waiting == 0
    engine.cancel(None)


async def test_more_than_the_queue_takes_is_refused_with_a_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the measured rate; when nothing waits anything is taken."""
    worker = SimpleNamespace(waiting=0, rate=5.0, stop=engine._worker.stop)
    monkeypatch.setattr(engine, "_worker", worker)
    engine.admit(1000)
    worker.waiting = 6
    engine.admit(2)
    with pytest.raises(OverloadedError, match="6 pictures are waiting; try again later") as caught:
        engine.admit(14)
    assert caught.value.headers["Retry-After"] == "3", "twelve too many, five a second"
    worker.rate = 0.0
    with pytest.raises(OverloadedError) as caught:
        engine.admit(7)
    assert caught.value.headers["Retry-After"] == "6", "one a second before anything was measured"


class Judge:
    """A discriminator that says the sum of its one picture, and of its label."""

    def discriminate(self, image: np.ndarray, label: np.ndarray | None) -> DiscriminatorOutput:
        assert len(image) == 1
        score = image.sum((1, 2, 3)) + (0 if label is None else label.sum(1))
        return DiscriminatorOutput(score, np.stack([score, -score], 1))


async def test_pictures_are_judged_one_by_one(engine: Engine) -> None:
    """Each with its own label, in their order; a process without runtime says so."""
    model: Any = SimpleNamespace(runtime=Judge())
    images = np.arange(3, dtype=np.float32)[:, None, None, None]
    labels = np.array([[10.0], [20.0], [30.0]], np.float32)
    for label, expected in ((None, [0, 1, 2]), (labels, [10, 21, 32])):
        answer = await engine.discriminate(model, images, label)
        assert answer.logits.tolist() == expected
        assert answer.features.tolist() == [[one, -one] for one in expected]
    with pytest.raises(UnavailableError, match="no engine"):
        await engine.discriminate(SimpleNamespace(runtime=None), images)  # type: ignore[arg-type]
