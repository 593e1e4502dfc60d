"""Who asks and until when, and what a stream tells until the end."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from models.errors import RuntimeUnavailableError
from service.errors import DeadlineError, InvalidValueError, MalformedError, OverloadedError
from service.http.responses import answers as module
from service.http.responses import events
from service.http.responses.answers import context_of, result_event, run
from service.http.responses.events import server_sent
from service.operations.base import Context
from service.operations.requests import Delivery
from service.operations.results import Document, Picture, Pictures
from service.operations.sample import SampleRequest
from service.operations.table import OPERATIONS

BODY, PLAIN = SampleRequest(seed=1), Delivery()
Operation = Callable[..., Awaitable[Any]]


@pytest.fixture
def state() -> Any:
    """A server that answers within a minute and counts its refusals."""
    refused: list[Exception] = []
    settings = SimpleNamespace(timeout_s=60.0, public_url="https://pub.example")
    return SimpleNamespace(
        settings=settings, engine=object(), metrics=SimpleNamespace(refused=refused.append), told=refused
    )


def asked(state: Any, headers: dict[str, str] | None = None, **known: Any) -> Request:
    app = Starlette()
    app.state.ganymede = state
    raw = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    return Request({"type": "http", "headers": raw, "app": app, "client": ("10.0.0.1", 1), "state": known})


def context(state: Any, left_s: float = 60.0) -> Context:
    return Context(state=state, caller="ann", deadline=time.monotonic() + left_s, request_id="r1")


@pytest.mark.parametrize(
    ("headers", "timeout_ms", "seconds"),
    [
        ({}, None, 60.0),
        ({}, 500, 0.5),
        ({"x-deadline-ms": "1500"}, None, 1.5),
        ({"x-deadline-ms": "1"}, None, 0.001),
        ({"x-deadline-ms": "3600000"}, None, 3600.0),
        ({"x-deadline-ms": "1500"}, 500, 0.5),
        ({"x-deadline-ms": "nonsense"}, 500, 0.5),
        ({"x-deadline-ms": ""}, None, 60.0),
    ],
)
def test_a_request_has_its_time(state: Any, headers: dict[str, str], timeout_ms: int | None, seconds: float) -> None:
    """The body's word, else the header's, else the server's."""
    deadline = context_of(asked(state, headers), timeout_ms).deadline
    assert deadline is not None
    assert seconds - 5 < deadline - time.monotonic() <= seconds


@pytest.mark.parametrize("header", ["0", "3600001", "-1", "1.5", "\xb2", "soon"])
def test_a_deadline_is_whole_milliseconds(state: Any, header: str) -> None:
    """Of an hour at most."""
    with pytest.raises(MalformedError, match="X-Deadline-Ms must be a whole number of milliseconds, 1 to 3600000"):
        context_of(asked(state, {"x-deadline-ms": header}))


def test_who_asks_is_known_by_key_or_by_address(state: Any) -> None:
    """And by the id of the request, which its log lines carry; whoever has neither is nobody."""
    found = context_of(asked(state, caller="ann", request_id="r1"))
    assert (found.caller, found.request_id, found.state) == ("ann", "r1", state)
    found = context_of(asked(state))
    assert (found.caller, found.request_id) == ("10.0.0.1", "")
    request = asked(state, caller="")
    request.scope["client"] = None
    assert context_of(request).caller == ""


def doing(monkeypatch: pytest.MonkeyPatch, work: Operation) -> None:
    """In place of sampling."""
    monkeypatch.setitem(OPERATIONS, "sample", SimpleNamespace(run=work))


async def test_an_answer_that_is_not_ready_in_time_is_late(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up; one that is ready is given, made of what was sent."""
    given: list[Any] = []

    async def work(context: Context, body: Any, attachments: Any) -> Any:
        given[:] = [context, body, attachments]
        await asyncio.sleep(0.1)
        return Document({"done": True})

    doing(monkeypatch, work)
    asking = context(state)
    assert (await run(asking, "sample", BODY, {"a": b"b"})).body == {"done": True}  # type: ignore[union-attr]
    assert given == [asking, BODY, {"a": b"b"}]
    with pytest.raises(DeadlineError, match="the deadline passed before the answer was ready"):
        await run(context(state, 0.01), "sample", BODY, {})


async def test_where_no_engine_is_the_work_is_done_elsewhere(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is handed on."""
    given: list[Any] = []
    state.engine, asking = None, context(state)

    async def elsewhere(*what: Any) -> Document:
        given.extend(what)
        return Document({})

    monkeypatch.setattr(module, "run_elsewhere", elsewhere)
    await run(asking, "sample", BODY, {"a": b"b"})
    assert given == [asking, "sample", BODY, {"a": b"b"}]


async def streamed(asking: Context) -> list[tuple[str, str, Any]]:
    """Number, name and data of each event; "" for what only keeps the connection."""
    found = []
    async for piece in server_sent(module._events(asking, "sample", BODY, {})):
        if piece.startswith(b":"):
            assert piece == b": keep-alive\n\n"
            found.append(("", "", None))
            continue
        fields = dict(line.split(": ", 1) for line in piece.decode().strip().split("\n"))
        found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


async def test_a_stream_tells_what_happens_and_ends_with_the_result(
    state: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbered from one; while nothing happens it keeps the connection. The work knows who asks."""
    monkeypatch.setattr(events, "KEEP_ALIVE_S", 0.05)
    asking, known = context(state), []

    async def work(context: Context, *_: Any) -> Any:
        known.append((context.state, context.caller, context.deadline, context.bulk, context.request_id))
        await context.emit("level", {"level": 0})
        await asyncio.sleep(0.3)
        return Document({"done": True})

    doing(monkeypatch, work)
    found = await streamed(asking)
    assert (found[0], found[-1]) == (("1", "level", {"level": 0}), ("2", "result", {"done": True}))
    assert 1 <= found.count(("", "", None)) == len(found) - 2
    assert known == [(state, "ann", asking.deadline, False, "r1")]


async def test_a_refusal_is_the_last_event_and_is_counted(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the problem that the answer would have been, with the request's id."""

    async def work(*_: Any) -> Any:
        raise OverloadedError("too much", retry_after_s=1)

    doing(monkeypatch, work)
    ((number, name, problem),) = await streamed(context(state))
    assert (number, name, problem["status"], problem["detail"]) == ("1", "error", 429, "too much")
    assert problem["instance"] == "urn:ganymede:request:r1"
    assert [type(error) for error in state.told] == [OverloadedError]


async def test_what_nobody_foresaw_ends_the_stream(
    state: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says what it was; the client learns that it failed: paths are nobody's business."""

    async def work(*_: Any) -> Any:
        raise KeyError("/secret/path")

    doing(monkeypatch, work)
    ((_, name, problem),) = await streamed(context(state))
    assert (name, problem["status"], problem["instance"]) == ("error", 500, "urn:ganymede:request:r1")
    assert "secret" not in str(problem)
    assert "/secret/path" in caplog.text
    assert caplog.messages == ["unforeseen failure in the stream of sample"]


async def test_what_a_runtime_refuses_is_told_as_it_says_it(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """422 with its sentence, in a stream as in an answer; a stream made a 500 of it."""

    async def work(*_: Any) -> Any:
        raise RuntimeUnavailableError("torch is not installed")

    doing(monkeypatch, work)
    (_, name, problem), *others = await streamed(context(state))
    assert (name, problem["status"], problem["detail"], others) == ("error", 422, "torch is not installed", [])
    with pytest.raises(InvalidValueError, match="torch is not installed"):
        await run(context(state), "sample", BODY, {})


async def test_who_leaves_a_stream_ends_its_work(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody computes for a closed connection."""
    ended = asyncio.Event()

    async def work(context: Context, *_: Any) -> Any:
        await context.emit("level", {})
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    doing(monkeypatch, work)
    stream: Any = server_sent(module._events(context(state), "sample", BODY, {}))
    await anext(stream)
    await stream.aclose()
    async with asyncio.timeout(10):
        await ended.wait()


def test_the_last_event_is_the_envelope_or_the_document(state: Any) -> None:
    """With addresses that lead back to this server."""
    made = Pictures("m@1", "cpu", (Picture(np.zeros((2, 2, 3), np.uint8), 7, recipe={"op": "sample", "seed": 7}),))
    assert result_event(state, made, PLAIN)["data"][0]["url"] == "https://pub.example/images/m@1/7.png"
    state.settings.public_url = None
    assert result_event(state, made, PLAIN)["data"][0]["url"] == "/images/m@1/7.png"
    inline = result_event(state, made, Delivery(response_format="b64_json"))
    assert inline["data"][0]["b64_json"]
    assert result_event(state, Document({"a": 1}), PLAIN) == {"a": 1}
