"""Plain requests answered at the protocol: the same answers as the framework's, and everything uvicorn does around them."""

import asyncio
import gc
import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from service.auth.keys import new_key
from tests.service.http.test_json_route import BODIES
from tests.service.wires import Open, Wire, answered_fast, lasting

MANY = (
    b'{"seed": 7, "n": 9}',
    b'{"model": "tiny-labels", "seeds": [4294967295, 0, 7, 7], "truncation": 0.5, "metadata": "minimal"}',
    b'{"model": "tiny-labels", "seed": 4294967294, "n": 5, "label": "green", "scale": 2}',
    b'{"seeds": [3]}',
    b'{"model": "tiny-lapgan", "seed": 1, "n": 3}',
    b'{"seed": 7, "n": 3, "save_as": "three"}',
)
ACCEPTS = ["image/png", "*/*", "image/webp", "application/json", "text/plain"]


async def test_both_ways_answer_the_same(opened: Open) -> None:
    """Status, headers and bytes are those of the framework's route, for good requests and for every kind of bad one."""
    app = await opened()
    taken = answered_fast(app)
    for body in BODIES:
        for accept in ACCEPTS if body == BODIES[0] else ACCEPTS[:1]:
            short = await Wire(app).ask(body, f"Accept: {accept}")
            long = await Wire(app).ask(body, f"Accept: {accept}", "Content-Type: application/json; charset=utf-8")
            assert short[0] == long[0]
            assert short[2] == long[2] or short[1]["content-type"] == "application/json"
            assert lasting(short[1]) == lasting(long[1])
    assert set(BODIES[:3]) == set(taken)


@pytest.mark.parametrize("accept", ["image/png", "application/x-npy"])
async def test_many_pictures_are_the_same_on_both_ways(opened: Open, accept: str) -> None:
    """A sheet, an array larger than a batch, listed seeds and labels: status, headers and bytes; what is too much, too."""
    app = await opened(max_batch=4)
    taken = answered_fast(app)
    for body in MANY:
        short = await Wire(app).ask(body, f"Accept: {accept}")
        long = await Wire(app).ask(body, f"Accept: {accept}", "Content-Type: application/json; charset=utf-8")
        assert (short[0], short[2]) == (long[0], long[2])
        assert lasting(short[1]) == lasting(long[1])
    assert taken == list(MANY[:-2])


async def test_who_hangs_up_frees_all_places(opened: Open) -> None:
    """Nobody computes a sheet for a closed connection."""
    app = await opened()
    state, wire = app.state.ganymede, Wire(app)
    wire.tell(wire.say(b'{"seed": 1, "n": 9}'))
    assert state.engine.waiting == 9
    wire.protocol.connection_lost(None)
    assert (state.engine.waiting, state.in_flight, wire.data) == (0, 0, b"")


async def test_who_hangs_up_without_a_word_is_forgotten(opened: Open) -> None:
    """Before the first request, and between two."""
    app = await opened()
    silent, served = Wire(app), Wire(app)
    await served.ask(b'{"seed": 1}')
    for wire in (silent, served):
        wire.protocol.connection_lost(None)
        assert not wire.server_state.connections


async def test_milliseconds_are_told(opened: Open) -> None:
    """`Server-Timing` of the computation: some, and no more than the client waited."""
    wire, began = Wire(await opened()), time.perf_counter()
    timing = (await wire.ask(b'{"seed": 1}'))[1]["server-timing"]
    found = dict(part.split(";dur=") for part in timing.split(", "))
    assert 0 < float(found["compute"]) <= 1e3 * (time.perf_counter() - began)


async def test_a_request_is_counted_logged_and_named(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    """The caller's id comes back, the route is counted, and the log line says both."""
    app = await opened()
    taken = answered_fast(app)
    with caplog.at_level(logging.INFO, "ganymede.requests"):
        status, headers, _ = await Wire(app).ask(b'{"seed": 7}', "X-Request-ID: abc-1")
    assert (status, headers["x-request-id"], len(taken)) == (200, "abc-1", 1)
    assert headers["ganymede-seed"] == "7"
    assert 'route="/sample",status="200"} 1.0' in app.state.ganymede.metrics.text().decode()
    assert caplog.messages == ["POST /sample 200"]
    assert app.state.ganymede.in_flight == 0
    made = await Wire(app).ask(b'{"seed": 7}', "X-Request-ID: not a good id")
    assert len(made[1]["x-request-id"]) == 32


async def test_pieces_pipelines_and_other_endpoints(opened: Open) -> None:
    """A body in pieces, two requests in one packet, other endpoints on the same connection: each is answered, in order."""
    app = await opened()
    taken, wire = answered_fast(app), Wire(app)
    whole = wire.say(b'{"seed": 3}')
    wire.tell(whole[:-4])
    wire.tell(whole[-4:])
    assert (await wire.hear())[1]["ganymede-seed"] == "3"
    wire.tell(b"".join(wire.say(b'{"seed": %d}' % seed) for seed in range(4)))
    assert [(await wire.hear())[1]["ganymede-seed"] for _ in range(4)] == ["0", "1", "2", "3"]
    wire.tell(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" + wire.say(b'{"seed": 9}'))
    assert (await wire.hear())[0] == 200
    assert (await wire.hear())[1]["ganymede-seed"] == "9"
    assert (await wire.ask(b'{"seed": 5, "n": 2}'))[0] == 200
    assert (await wire.ask(b'{"seed": 6}'))[1]["ganymede-seed"] == "6"
    assert taken == [b'{"seed": 3}']  # what comes after another kind of request is uvicorn's
    assert not wire.closed


@pytest.mark.parametrize("lines", [("Connection: close",), ()])
async def test_a_connection_that_shall_end_ends(opened: Open, lines: tuple[str, ...]) -> None:
    """`Connection: close` and HTTP/1.0 close it after the answer."""
    app = await opened()
    wire = Wire(app)
    _, headers, _ = await wire.ask(b'{"seed": 1}', *lines, version="1.1" if lines else "1.0")
    assert headers["connection"] == "close"
    assert wire.closed


async def test_a_drain_answers_what_has_arrived(opened: Open) -> None:
    """A shutdown during a request lets it finish, says `close`, and closes; so does one while its body is being read."""
    app = await opened()
    for pieces in ((b'{"seed": 1}',), (b'{"se', b'ed": 1}')):
        wire = Wire(app)
        wire.tell(wire.say(b"".join(pieces))[: -len(pieces[-1])])
        if len(pieces) == 2:
            wire.shutdown()
        wire.tell(pieces[-1])
        wire.shutdown()
        status, headers, _ = await wire.hear()
        assert (status, headers["connection"], wire.closed) == (200, "close", True)


async def test_who_hangs_up_frees_a_place(opened: Open) -> None:
    """Nobody computes for a closed connection, and nothing is left waiting or in flight."""
    app = await opened()
    state, wire = app.state.ganymede, Wire(app)
    wire.tell(wire.say(b'{"seed": 1}'))
    assert state.engine.waiting == 1
    wire.protocol.connection_lost(None)
    assert (state.engine.waiting, state.in_flight, wire.data) == (0, 0, b"")
    assert 'route="/sample",status="499"} 1.0' in state.metrics.text().decode()


async def test_too_much_is_refused_at_once(opened: Open) -> None:
    """429 as problem+json with Retry-After, before the event loop turns once; counted as a refusal."""
    app = await opened(queue_pictures=2)
    wires = [Wire(app) for _ in range(4)]
    with app.state.ganymede.engine._worker._wake:  # the device takes nothing meanwhile
        for seed, wire in enumerate(wires):
            wire.tell(wire.say(b'{"seed": %d}' % seed))
    answers = [await wire.hear() for wire in wires]
    assert [status for status, _, _ in answers] == [200, 200, 429, 429]
    _, headers, body = answers[-1]
    assert headers["content-type"] == "application/problem+json"
    assert int(headers["retry-after"]) >= 1
    assert json.loads(body)["type"] == "urn:ganymede:problem:overloaded"
    assert 'reason="queue"} 2.0' in app.state.ganymede.metrics.text().decode()


async def test_a_refusal_tells_its_own_moment(opened: Open) -> None:
    """Refusals are written once: each says how many wait now, has an id of its own, and is what the ordinary way says."""
    app = await opened(queue_pictures=4, threads=2)
    wire, two = Wire(app), b'{"seed": 5, "n": 2}'
    with app.state.ganymede.engine._worker._wake:  # the device takes nothing meanwhile
        Wire(app).tell(wire.say(b'{"seed": 1, "n": 3}'))
        three_wait = await wire.ask(two)
        Wire(app).tell(wire.say(b'{"seed": 4}'))
        first, second = await wire.ask(two), await wire.ask(two)
        ordinary = await wire.ask(two, "Content-Type: application/json; charset=utf-8")
    assert json.loads(three_wait[2])["detail"].startswith("3 pictures are waiting")
    assert json.loads(first[2])["detail"].startswith("4 pictures are waiting")
    assert first[0] == 429
    assert first[2] == second[2] == ordinary[2]
    assert lasting(first[1]) == lasting(second[1]) == lasting(ordinary[1])
    assert first[1]["x-request-id"] != second[1]["x-request-id"]


async def test_nothing_is_kept_of_an_answered_request(opened: Open) -> None:
    """Without any collector: tickets and pictures do not outlive their answers; a connection forgets its requests."""
    app = await opened()
    wire = Wire(app)
    await wire.ask(b'{"seed": 0}')
    gc.collect()
    gc.disable()
    try:
        for seed in range(20):
            await wire.ask(b'{"seed": %d}' % seed)
        await wire.ask(b'{"seed": 1, "n": 2}')
        await wire.ask(b'{"seed": 1}')
        kinds = [type(one).__name__ for one in gc.get_objects()]
    finally:
        gc.enable()
    # the last one may still be in a frame that is just ending
    assert max(kinds.count(name) for name in ("PictureRequest", "LevelWork", "Ticket")) <= 1


async def test_keys_are_asked_for(opened: Open, tmp_path: Path) -> None:
    """With keys every request passes the gate; the right key gets the same picture the ordinary way."""
    token, table = new_key("reader", ["sample"], 600)
    (tmp_path / "keys.toml").write_text(table)
    app = await opened(api_keys_file=tmp_path / "keys.toml")
    taken = answered_fast(app)
    assert (await Wire(app).ask(b'{"seed": 1}'))[0] == 401
    status, headers, body = await Wire(app).ask(b'{"seed": 1}', f"Authorization: Bearer {token}")
    assert (status, headers["ganymede-seed"], body[:4]) == (200, "1", b"\x89PNG")
    assert not taken


async def test_a_late_picture_is_504(opened: Open) -> None:
    """A device that does not come back does not leave anybody waiting."""
    app = await opened(timeout_s=0.2)
    app.state.ganymede.engine.start = lambda *_, **__: None
    status, headers, _ = await Wire(app).ask(b'{"seed": 1}')
    assert (status, headers["content-type"]) == (504, "application/problem+json")


FOR_OTHERS = ["Expect: 100-continue", "Upgrade: h2c", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"]
FOR_OTHERS += ["Content-Encoding: identity"]


@pytest.mark.parametrize("line", FOR_OTHERS)
async def test_what_others_have_a_say_in_is_given_back(opened: Open, line: str) -> None:
    """uvicorn and the gate read these headers: a request that has one is not answered below them, known or not."""
    app = await opened()
    taken, wire = answered_fast(app), Wire(app)
    await wire.ask(b'{"seed": 1}')
    for _ in range(2):
        wire.tell(wire.say(b'{"seed": 2}', line))
        wire.data = wire.data.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        async with asyncio.timeout(10):
            while b"ganymede-seed: 2" not in wire.data:
                await asyncio.sleep(0.001)
        wire.data = b""
    assert taken == [b'{"seed": 1}']


@pytest.mark.parametrize(("proxy", "caller"), [("10.0.0.1", "203.0.113.7"), ("10.0.0.9", "10.0.0.1")])
async def test_a_proxys_word_about_the_client_is_heard(
    opened: Open, monkeypatch: pytest.MonkeyPatch, proxy: str, caller: str
) -> None:
    """Behind a proxy clients share a queue fairly by their own addresses, not as one client with the proxy's.

    Whoever is no proxy of ours cannot say that it is another.
    """
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", proxy)
    app = await opened()
    worker, callers = app.state.ganymede.engine._worker, []
    submit = worker.submit

    def spy(ticket: Any) -> None:
        callers.append(ticket.caller)
        submit(ticket)

    worker.submit = spy
    wire = Wire(app)
    for line in ("Accept: */*", "X-Forwarded-For: 203.0.113.7"):
        assert (await wire.ask(b'{"seed": 1}', line))[0] == 200
    assert callers == ["10.0.0.1", caller]
