"""Webhooks: called when a job ends, signed so that the receiver can check, never to a host nobody listed."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable

import httpx
import pytest

from service.errors import InvalidValueError
from service.jobs.queue import JobQueue
from service.jobs.runner import JobRunner
from service.jobs.webhooks import Webhooks, check_url, sign
from tests.service.jobs.executor import payload

Start = Callable[..., JobRunner]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of the Standard Webhooks reference libraries verifies."""
    body = b'{"test": 2432232314}'
    signature = sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/", "https://b.example/", "https://a.example:8443/", "https://u:p@a.example/", "ftp://a.example",
        "https://a.example.evil/", "file:///etc/passwd", "https://[::1", "//a.example", "https://a.example@evil/",
        "https://a.example/\x01", "https://a.example/\x7f",
    ],
)  # fmt: skip
def test_other_addresses_are_refused(url: str) -> None:
    """Only https to exactly a listed host."""
    check_url("https://a.example/hook?x=1", ["a.example"])
    with pytest.raises(InvalidValueError):
        check_url(url, ["a.example"])


async def test_the_receiver_can_verify_the_call_and_a_failed_one_comes_again(queue: JobQueue, runner_of: Start) -> None:
    """The first call fails, the second is taken; both have the same id and a valid signature; then it is over."""
    runner_of(queue)
    job = await queue.enqueue("sample", payload(1), webhook="https://a.example/hook")
    await queue.wait(job.id, 10)
    calls: list[httpx.Request] = []

    def receive(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(500 if len(calls) == 1 else 204)

    hooks = Webhooks(queue, SECRET, ["a.example"])
    async with httpx.AsyncClient(transport=httpx.MockTransport(receive)) as client:
        await hooks.deliver_due(client)
        due = await queue.redis.zscore(queue.keys.name("webhooks"), job.id)
        assert due is not None
        await queue.redis.zadd(queue.keys.name("webhooks"), {job.id: 0})
        await hooks.deliver_due(client)
        await hooks.deliver_due(client)
    assert len(calls) == 2
    assert len({call.headers["webhook-id"] for call in calls}) == 1
    for call in calls:
        signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode() + call.content
        expected = hmac.new(base64.b64decode(SECRET[6:]), signed, hashlib.sha256).digest()
        assert call.headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()
        assert json.loads(call.content)["type"] == "job.succeeded"


async def test_an_address_that_cannot_be_called_keeps_nobody_else_from_being_called(
    queue: JobQueue, runner_of: Start
) -> None:
    """Accepted before such were refused: it is given up."""
    runner_of(queue)
    bad, good = [
        await queue.enqueue("sample", payload(1), webhook=f"https://a.example/{path}") for path in ("\x01", "hook")
    ]
    for job in (bad, good):
        await queue.wait(job.id, 10)
    called: list[str] = []

    def receive(request: httpx.Request) -> httpx.Response:
        called.append(request.url.path)
        return httpx.Response(204)

    async with httpx.AsyncClient(transport=httpx.MockTransport(receive)) as client:
        await Webhooks(queue, SECRET, ["a.example"]).deliver_due(client)
    assert called == ["/hook"]
    assert await queue.redis.zcard(queue.keys.name("webhooks")) == 0


async def test_a_redirect_is_not_followed(queue: JobQueue, runner_of: Start) -> None:
    """A listed host cannot send the call on to an inner address; that it was not taken is tried again."""
    runner_of(queue)
    job = await queue.enqueue("sample", payload(1), webhook="https://a.example/hook")
    await queue.wait(job.id, 10)
    called: list[str] = []

    def send_on(request: httpx.Request) -> httpx.Response:
        called.append(request.url.host)
        return httpx.Response(307, headers={"location": "http://169.254.169.254/"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(send_on), follow_redirects=True) as client:
        await Webhooks(queue, SECRET, ["a.example"]).deliver_due(client)
    assert called == ["a.example"]
    assert await queue.redis.zscore(queue.keys.name("webhooks"), job.id) is not None
