"""Which requests become jobs, and what is said of one."""

from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from service.errors import MalformedError
from service.http.responses.job_answers import JobPreference, job_preference, record_of, record_response
from service.jobs.job import Job, JobState
from service.operations.sample import SampleRequest

FEW, MANY = SampleRequest(seed=1, n=8), SampleRequest(seed=1, n=9)
HOOKED = SampleRequest(seed=1, webhook="https://hook.example")
TOO_MANY = "9 pictures are too many to wait for (up to 8 are)"
JOB = Job("j1", "sample", JobState.QUEUED, "ann")


def asked(*headers: tuple[str, str], public_url: str | None = None) -> Request:
    """A request to a server that makes a job of more than eight pictures."""
    app = Starlette()
    settings = SimpleNamespace(async_pictures=8, public_url=public_url)
    app.state.ganymede = SimpleNamespace(settings=settings)
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "headers": raw, "app": app})


def wish(*headers: tuple[str, str], body: SampleRequest = FEW, streams: bool = False) -> Any:
    return job_preference(asked(*headers), "sample", body, streams=streams)


PREFERRED = [
    ((), None),
    ((("prefer", "return=minimal"),), None),
    ((("prefer", "wait=5"),), None),
    ((("prefer", "respond-async"),), JobPreference(True, asked=True)),
    ((("prefer", "Respond-Async , WAIT=20"),), JobPreference(True, 20.0, asked=True)),
    ((("prefer", "wait=5"), ("prefer", "respond-async")), JobPreference(True, 5.0, asked=True)),
    ((("prefer", "respond-async, wait=55555"),), JobPreference(True, asked=True)),
    ((("prefer", "respond-async, wait=-1, wait=7"),), JobPreference(True, 7.0, asked=True)),
    ((("idempotency-key", "order 1".replace(" ", "-")),), JobPreference(False, idempotency_key="order-1")),
    ((("idempotency-key", "k"), ("prefer", "respond-async")), JobPreference(True, None, "k", asked=True)),
]


@pytest.mark.parametrize(("headers", "expected"), PREFERRED)
def test_who_asks_for_a_job_gets_one(headers: tuple[tuple[str, str], ...], expected: JobPreference | None) -> None:
    """By Prefer (RFC 7240), in one line or several, or by a key for a retry."""
    assert wish(*headers) == expected


def test_what_takes_long_is_a_job_unasked() -> None:
    """With the reason; a stream shows what happens meanwhile, so that it is none. A webhook is called by jobs alone."""
    keyed = ("idempotency-key", "k")
    assert wish(body=FEW) is None
    assert wish(("prefer", "wait=3"), keyed, body=MANY) == JobPreference(True, 3.0, "k", reason=TOO_MANY)
    assert wish(body=MANY, streams=True) is None
    for streams in (True, False):
        found = wish(("prefer", "wait=3"), keyed, body=HOOKED, streams=streams)
        assert found == JobPreference(True, 3.0, "k", reason="a request with a webhook is a job")


@pytest.mark.parametrize(
    ("key", "good"), [("!", True), ("~" * 255, True), ("", False), ("a b", False), ("x" * 256, False)]
)
def test_a_key_is_visible_ascii(key: str, good: bool) -> None:
    """1 to 255 of it."""
    if good:
        assert wish(("idempotency-key", key)).idempotency_key == key
        return
    with pytest.raises(MalformedError, match="1 to 255 visible ASCII characters"):
        wish(("idempotency-key", key))


@pytest.mark.parametrize("base", [None, "https://pub.example/g"])
def test_a_record_says_where_everything_is(base: str | None) -> None:
    """Below the public address, where there is one."""
    urls = record_of(asked(public_url=base), JOB)["urls"]
    own = f"{base or ''}/jobs/j1"
    assert urls == {"self": own, **{name: f"{own}/{name}" for name in ("result", "events", "cancel")}}


def test_202_says_where_to_look() -> None:
    """What is already known is answered with 200 and no address."""
    known, accepted = record_response(asked(), JOB), record_response(asked(), JOB, 202, {"reason": "x"}, {"A": "b"})
    assert (known.status_code, "location" in known.headers) == (200, False)
    assert (accepted.status_code, accepted.headers["location"], accepted.headers["a"]) == (202, "/jobs/j1", "b")
    assert b'"reason":"x"' in bytes(accepted.body)
