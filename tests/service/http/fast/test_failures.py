"""When something goes wrong below ASGI, or only the counting could tell the two ways apart."""

import json
import logging
from typing import Any

import pytest

from service.images.encode import magnify
from tests.service.wires import Open, Wire, answered_fast

LONG = "Content-Type: application/json; charset=utf-8"


def counted(app: Any) -> dict[str, float]:
    """Every series that counts something, without those of time."""
    rows = (line.rsplit(" ", 1) for line in app.state.ganymede.metrics.text().decode().splitlines() if line[0] != "#")
    seconds = ("_sum", "_bucket", "_created", "process_", "python_")
    return {name: float(value) for name, value in rows if not any(word in name for word in seconds)}


@pytest.mark.parametrize("body", [b'{"seed": 7}', b'{"seed": 7, "model": "tiny-labels", "label": "green", "scale": 2}'])
async def test_both_ways_count_the_same(opened: Open, body: bytes) -> None:
    """Who reads the metrics cannot tell which way a request took."""
    found = []
    for lines in ((), (LONG,)):
        app = await opened()
        before, taken = counted(app), answered_fast(app)
        assert (await Wire(app).ask(body, *lines))[0] == 200
        assert len(taken) == (not lines)
        found.append({name: value - before.get(name, 0) for name, value in counted(app).items()})
    assert found[0] == found[1]
    assert any("pictures" in name and value == 1 for name, value in found[0].items())


async def test_a_failing_device_is_a_problem_and_not_a_cut_connection(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """500 with an id under which the log has the traceback; nothing is left in flight, and the next one is answered."""
    app = await opened()
    engine, wire = app.state.ganymede.engine, Wire(app)
    start = engine.start

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("the device is on fire")

    engine.start = fails
    with caplog.at_level(logging.ERROR):
        status, headers, body = await wire.ask(b'{"seed": 1}', "X-Request-ID: mine")
    assert (status, headers["content-type"], headers["x-request-id"]) == (500, "application/problem+json", "mine")
    assert b"fire" not in body
    assert "the device is on fire" in caplog.text
    engine.start = start
    assert (await wire.ask(b'{"seed": 1}'))[0] == 200
    assert app.state.ganymede.in_flight == 0


async def test_a_picture_that_cannot_be_written_takes_no_other_with_it(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own request gets 500; those of its batch and those after it their pictures."""
    from service.http.fast import handler

    app = await opened()

    def breaks(pixels: Any, scale: int) -> Any:
        if scale == 3:
            raise MemoryError
        return magnify(pixels, scale)

    monkeypatch.setattr(handler, "magnify", breaks)
    wires = [Wire(app) for _ in range(3)]
    for wire, scale in zip(wires, (1, 3, 2), strict=True):
        wire.tell(wire.say(b'{"seed": 1, "scale": %d}' % scale))
    answers = [await wire.hear() for wire in wires]
    assert [status for status, _, _ in answers] == [200, 500, 200]
    assert json.loads(answers[1][2])["detail"] == "the picture could not be encoded"
    assert app.state.ganymede.in_flight == 0


async def test_who_does_not_read_is_not_read(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """While answers pile up, or more than a head arrives before the last answer, the client has to wait; then it goes on."""
    said: list[str] = []
    monkeypatch.setattr(Wire, "pause_reading", lambda wire: said.append("wait"))
    monkeypatch.setattr(Wire, "resume_reading", lambda wire: said.append("go on"))
    app = await opened()
    wire = Wire(app)
    await wire.ask(b'{"seed": 1}')
    wire.protocol.pause_writing()
    assert said == ["wait"]
    wire.protocol.resume_writing()
    assert said == ["wait", "go on"]
    said.clear()
    one = wire.say(b'{"seed": 1}')
    many = (16 << 10) // len(one) + 2
    wire.tell(one)
    for _ in range(many):
        wire.tell(one)
    assert set(said) == {"wait"}
    for _ in range(many + 1):
        assert (await wire.hear())[0] == 200
    assert said[-1] == "go on"


async def test_a_head_without_end_is_uvicorns(opened: Open) -> None:
    """Sixteen kilobytes are waited for below ASGI, no more: then the limits of uvicorn hold."""
    wire = Wire(await opened())
    start = b"POST /sample HTTP/1.1\r\nHost: localhost\r\nX-A: "
    wire.tell(start.ljust(16 << 10, b"a"))
    assert wire.protocol.awaits_client
    assert wire.protocol in wire.server_state.connections
    wire.tell(b"a")
    assert wire.protocol not in wire.server_state.connections
    wire.tell(b"\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n" + b'{"seed": 1}')
    assert (await wire.hear())[0] == 200
