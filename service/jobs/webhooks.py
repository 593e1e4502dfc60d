"""Webhooks, off the job's path: signed after Standard Webhooks, only to hosts that the operator listed."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from redis.exceptions import ResponseError

from service.errors import InvalidValueError
from service.jobs.job import Job
from service.jobs.queue import JobQueue
from service.observability.logs import learn
from service.redis.failures import AWAY

if TYPE_CHECKING:
    import httpx  # loaded only where webhooks are sent: it is a tenth of the time a server takes to start

log = logging.getLogger("ganymede.webhooks")

TIMEOUT_S = 10.0
DUE_AGAIN_S = 30  # a process that dies with a webhook in its hands delays it by this
PAUSES_S = (5, 60, 600, 3600, 6 * 3600)  # then it is given up
EVERY_S = 0.5


def check_url(url: str, hosts: Sequence[str]) -> None:
    """Raises InvalidValueError unless the URL is https (or http to a listed `http://host`) to a listed host."""
    if not url.isprintable():
        raise InvalidValueError("the address has a character that no address has", pointer="/webhook")
    try:
        parts = urlsplit(url)
        name = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
        secret = parts.username is not None or parts.password is not None
    except ValueError:
        parts, name, secret = urlsplit(""), "", False
    listed = (parts.scheme == "https" and name in hosts) or (parts.scheme == "http" and f"http://{name}" in hosts)
    if not listed or secret:
        detail = "webhooks may only call hosts that this server lists" if hosts else "this server allows no webhooks"
        raise InvalidValueError(detail, pointer="/webhook")


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` of Standard Webhooks: `v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class Webhooks:
    """Calls the webhooks of ended jobs. Any process may run it; each webhook is taken by one at a time."""

    def __init__(self, queue: JobQueue, secret: str | None, hosts: Sequence[str]) -> None:
        self._queue, self._secret, self._hosts = queue, secret, hosts

    async def run(self) -> None:
        """Deliver what is due, for ever."""
        import httpx

        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            while True:
                try:
                    await self.deliver_due(client)
                except (*AWAY, ResponseError) as error:
                    log.debug("webhooks wait: %s", error)
                await asyncio.sleep(EVERY_S)

    async def deliver_due(self, client: "httpx.AsyncClient") -> None:
        """One look at the list."""
        ids = await self._queue.run("due_webhooks", 16, DUE_AGAIN_S)
        await asyncio.gather(*[self._deliver(client, job_id.decode()) for job_id in ids])

    async def _deliver(self, client: "httpx.AsyncClient", job_id: str) -> None:
        learn(job_id=job_id)  # each call is a task of its own
        redis, keys = self._queue.redis, self._queue.keys
        record: Any = await redis.exists(keys.name("job", id=job_id))
        job = await self._queue.get(job_id) if record else None
        if job is None or job.webhook is None or await self._post(client, job, job.webhook):
            await redis.zrem(keys.name("webhooks"), job_id)
            return
        tries: Any = await redis.hincrby(keys.name("job", id=job_id), "webhook_tries", 1)
        if tries > len(PAUSES_S):
            log.warning("the webhook of job %s is given up after %d tries", job_id, tries)
            await redis.zrem(keys.name("webhooks"), job_id)
        else:
            await redis.zadd(keys.name("webhooks"), {job_id: time.time() + PAUSES_S[tries - 1]})

    async def _post(self, client: "httpx.AsyncClient", job: Job, url: str) -> bool:
        """Whether it was taken. 410 means: stop calling."""
        import httpx

        try:
            check_url(url, self._hosts)
            told, headers = self.body_of(job), self.headers_of(job)
            reply = await client.post(url, content=told, headers=headers, follow_redirects=False)
        except InvalidValueError:
            return True  # the operator has taken the host off the list meanwhile
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.info("webhook of job %s: %s", job.id, type(error).__name__)
            return False
        return reply.is_success or reply.status_code == 410

    def body_of(self, job: Job) -> bytes:
        """`{type, timestamp, data}` of Standard Webhooks; `data` is the record."""
        ended = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(job.ended_at or 0))
        return json.dumps({"type": f"job.{job.state}", "timestamp": ended, "data": job.public()}).encode()

    def headers_of(self, job: Job) -> dict[str, str]:
        """Id (the same at every try, so that the receiver can drop repeats), time and signature."""
        now = int(time.time())
        headers = {"content-type": "application/json", "webhook-id": f"job_{job.id}", "webhook-timestamp": str(now)}
        if job.trace is not None:
            headers["traceparent"] = job.trace
        if self._secret is not None:
            headers["webhook-signature"] = sign(self._secret, headers["webhook-id"], now, self.body_of(job))
        return headers
