"""Heads that are known need no parser: nobody can tell, whatever arrives before, after, between and in whatever pieces."""

import random
from typing import Any

import pytest

from service.http.fast import heads
from service.http.fast.heads import MOST_HEADS, Head, Heads
from service.http.hosts import HostPolicy
from service.settings import Settings
from tests.service.wires import Open, Wire, answered_fast, lasting

HEAD = b"POST /sample HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\n"
Heard = tuple[int, dict[str, str], bytes]


def parsed_of(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """A list that grows by each head that is given to the parser."""
    found: list[bytes] = []
    parse = heads.headers_of

    def counted(head: bytes) -> Any:
        found.append(head)
        return parse(head)

    monkeypatch.setattr(heads, "headers_of", counted)
    return found


def test_a_head_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one is another; one with an id of the caller's own does not come again; full, it begins anew."""
    parsed, known = parsed_of(monkeypatch), Heads(4096, HostPolicy(Settings()))
    assert [known.read(HEAD) for _ in range(3)] == [Head(3)] * 3
    assert len(parsed) == 1
    named = HEAD[:-2] + b"x-request-id: mine\r\n\r\n"
    assert [known.read(named) for _ in range(2)] == [Head(3, "mine")] * 2
    assert len(parsed) == 3
    for number in range(3 * MOST_HEADS):
        known.read(HEAD[:-2] + b"x: %d\r\n\r\n" % number)
    assert len(known._known) <= MOST_HEADS
    known.read(HEAD[:-2] + b"x: " + b"x" * 9999 + b"\r\n\r\n")
    assert max(map(len, known._known)) <= 1024


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"POST /sample", b"GET /sample"),
        (b"/sample", b"/sample?x=1"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"application/json", b"application/json; charset=utf-8"),
        (b"length: 3", b"length: +3"),
        (b"length: 3", b"length: 5000"),
        (b"length: 3", b"length: 3\r\ncontent-length: 3"),
        (b"length: 3", b"length: 3\r\ntransfer-encoding: chunked"),
        (b"length: 3", b"length: 3\r\nconnection: close"),
        (b"length: 3", b"length: 3\r\naccept: image/webp"),
        (b"length: 3", b"length: 3\r\naccept: text/nothing"),
        (b"length: 3", b"length: 3\r\nprefer: respond-async"),
        (b"length: 3", b"length: 3\r\nno colon"),
        (b"host: localhost", b"host: localhost\r\n folded"),
        (b"host: localhost\r\n", b"host: localhost\n\r\n"),
        (b"host: localhost\r\n", b"host: localhost\n\n"),
    ],
)
def test_what_is_not_the_plainest_request_is_uvicorns(old: bytes, new: bytes) -> None:
    """Another method, path, version, type, length, representation, wish or spelling."""
    assert Heads(4096, HostPolicy(Settings())).read(HEAD) == Head(3)
    assert Heads(4096, HostPolicy(Settings())).read(HEAD.replace(old, new)) is None


async def test_the_second_request_is_answered_like_the_first(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """On this connection and on others; ids the caller chose come back, ids that are made are new every time."""
    app, parsed = await opened(), parsed_of(monkeypatch)
    wires = Wire(app), Wire(app)
    answers = [await wire.ask(b'{"seed": 7}') for wire in (wires[0], wires[0], wires[1])]
    assert len(parsed) == 1
    assert len({body for _, _, body in answers}) == 1
    assert all(lasting(headers) == lasting(answers[0][1]) for _, headers, _ in answers)
    assert len({headers["x-request-id"] for _, headers, _ in answers}) == 3
    for name in ("mine", "mine", "yours"):
        assert (await wires[0].ask(b'{"seed": 7}', f"X-Request-ID: {name}"))[1]["x-request-id"] == name
    assert len(parsed) == 4
    assert app.state.ganymede.in_flight == 0
    assert 'route="/sample",status="200"} 6.0' in app.state.ganymede.metrics.text().decode()
    assert [wire.server_state.total_requests for wire in wires] == [5, 1]


def messages(wire: Wire) -> list[bytes]:
    """Requests that may be known, and everything that may come between them."""
    plain = [wire.say(b'{"seed": %d}' % seed) for seed in (1, 2, 33)]
    other = [wire.say(b'{"seed": 4}', "Accept: image/png"), wire.say(b'{"seed": 5}', "X-Request-ID: mine")]
    given_back = [wire.say(body) for body in (b'{"seed": 6, "n": 2}', b'{"sede": 3}', b'{"seed":  }')]
    foreign = [b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"]
    chunked = (
        b"POST /sample HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'b\r\n{"seed": 8}\r\n0\r\n\r\n'
    )
    nested = [wire.say(plain[0]), wire.say(plain[0], path="/nowhere")]
    return [*plain * 3, *other * 2, *given_back * 2, *foreign, chunked, b"\r\n" + plain[0], *nested * 2]


@pytest.mark.parametrize("seed", range(25))
async def test_whatever_the_pieces_the_answers_are_those_of_the_parser(opened: Open, seed: int) -> None:
    """Requests one after the other, cut anywhere or glued together, with and without waiting: in order, none lost."""
    app, rng = await opened(), random.Random(seed)
    taken, wire, plain = answered_fast(app), Wire(app), Wire(app)
    said = rng.choices(messages(wire), k=12)
    expected = []
    plain.tell(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    await plain.hear()  # from here on that connection is uvicorn's
    for message in said:
        plain.tell(message)
        expected.append(await plain.hear())
    assert not taken
    heard = await _in_pieces(wire, said, rng)
    for (status, headers, body), (status_, headers_, body_) in zip(heard, expected, strict=True):
        assert (status, lasting(headers)) == (status_, lasting(headers_))
        assert body == body_ or headers["content-type"] != "image/png"
    assert not wire.data


async def _in_pieces(wire: Wire, said: list[bytes], rng: random.Random) -> list[Heard]:
    """What is heard of a stream that is cut between, after heads and anywhere; mostly all answers are awaited first."""
    ends = [sum(map(len, said[: k + 1])) for k in range(len(said))]
    bodies = [end - len(one) + one.index(b"\r\n\r\n") + 4 for end, one in zip(ends, said, strict=True)]
    likely = {cut for cut in [*ends[:-1], *bodies] if rng.random() < 0.7}
    cuts = sorted(likely | set(rng.sample(range(1, ends[-1]), rng.randrange(6))))
    heard: list[Heard] = []
    stream = b"".join(said)
    for start, stop in zip([0, *cuts], [*cuts, ends[-1]], strict=True):
        if start < stop:
            wire.tell(stream[start:stop])
        while rng.random() < 0.9 and len(heard) < sum(end <= stop for end in ends):
            heard.append(await wire.hear())
    return heard + [await wire.hear() for _ in range(len(said) - len(heard))]


async def test_a_body_that_is_longer_or_shorter_than_its_length(opened: Open) -> None:
    """A body that is cut off is waited for; one byte too many is the next request, and no good one."""
    app = await opened()
    wire = Wire(app)
    whole = wire.say(b'{"seed": 1}')
    for _ in range(2):
        assert (await wire.ask(b'{"seed": 1}'))[0] == 200
    wire.tell(whole[:-1])
    assert wire.data == b""
    wire.tell(whole[-1:])
    assert (await wire.hear())[0] == 200
    assert (await wire.ask(b'{"seed": 1}'))[0] == 200
    wire.tell(whole + b"}")
    assert ((await wire.hear())[0], wire.closed) == (400, True)


STARTS = [
    b"POST /nowhere HTTP/1.1\r\nX-A: ",
    b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n",
]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("together", [True, False])
async def test_a_request_inside_another_is_a_part_of_it(opened: Open, start: bytes, together: bool) -> None:
    """However the packets are cut: nobody can slip a request past a proxy as header or body of another."""
    app = await opened()
    taken, wire = answered_fast(app), Wire(app)
    inner = wire.say(b'{"seed": 1}')
    await wire.ask(b'{"seed": 1}')
    for piece in (inner + start,) if together else (inner, start):
        wire.tell(piece)
        if piece.startswith(inner):
            assert (await wire.hear())[0] == 200
    seen = len(taken)
    wire.tell(inner.ljust(999) if b"999" in start else inner)
    assert ((await wire.hear())[0], len(taken)) == (404, seen)
    assert (await wire.ask(b'{"seed": 2}'))[0] == 200


async def test_a_drain_is_heard_by_known_requests(opened: Open) -> None:
    """Between two requests it closes at once; during one it lets it finish, says `close`, and closes."""
    app = await opened()
    taken, idle, busy = answered_fast(app), Wire(app), Wire(app)
    for wire in (idle, busy):
        await wire.ask(b'{"seed": 1}')
    await idle.ask(b'{"seed": 1}')
    idle.shutdown()
    assert idle.closed
    busy.tell(busy.say(b'{"seed": 1}'))
    busy.shutdown()
    status, headers, _ = await busy.hear()
    assert (status, headers["connection"], busy.closed) == (200, "close", True)
    assert len(taken) == 4


async def test_who_hangs_up_on_a_known_request_frees_a_place(opened: Open) -> None:
    """Nobody computes for a closed connection."""
    app = await opened()
    taken, state, wire = answered_fast(app), app.state.ganymede, Wire(app)
    await wire.ask(b'{"seed": 1}')
    wire.tell(wire.say(b'{"seed": 2}'))
    assert (state.engine.waiting, len(taken)) == (1, 2)
    wire.protocol.connection_lost(None)
    assert (state.engine.waiting, state.in_flight, wire.data) == (0, 0, b"")


async def test_a_known_request_is_given_back_whole(opened: Open) -> None:
    """The same head with a body that is not plain: uvicorn and the framework see all of it."""
    app = await opened()
    taken, wire = answered_fast(app), Wire(app)
    await wire.ask(b'{"seed": 1}')
    assert (await wire.ask(b'{"n":    2}'))[0] == 200
    await wire.ask(b'{"seed": 1}')
    assert (await wire.ask(b'{"sede": 1}'))[0] == 422
    assert len(taken) == 1
    assert (await wire.ask(b'{"seed": 1}'))[0] == 200


async def test_a_known_request_is_refused_like_any_other(opened: Open) -> None:
    """429 on a full queue, and the connection goes on."""
    app = await opened(queue_pictures=1)
    taken, wires = answered_fast(app), [Wire(app) for _ in range(3)]
    for wire in wires:
        await wire.ask(b'{"seed": 1}')
    with app.state.ganymede.engine._worker._wake:  # the device takes nothing meanwhile
        for wire in wires:
            wire.tell(wire.say(b'{"seed": 2}'))
    assert [(await wire.hear())[0] for wire in wires] == [200, 429, 429]
    assert [(await wire.ask(b'{"seed": 3}'))[0] for wire in wires] == [200, 200, 200]
    assert len(taken) == 9


async def test_a_known_request_waits_for_the_answer_before_it(opened: Open) -> None:
    """A refusal that is known at once does not overtake a picture that is being made."""
    app = await opened(queue_pictures=1)
    wire = Wire(app)
    await wire.ask(b'{"seed": 1}')
    with app.state.ganymede.engine._worker._wake:  # the device takes nothing meanwhile
        for seed in (2, 3):
            wire.tell(wire.say(b'{"seed": %d}' % seed))
    assert [(await wire.hear())[1]["ganymede-seed"] for _ in range(2)] == ["2", "3"]
