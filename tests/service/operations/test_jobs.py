"""Jobs over HTTP: the whole application on a real store and a real runtime, in every role."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.jobs.job import JobState
from tests.conftest import ClientFactory
from tests.service.servers import Server

ASYNC = {"prefer": "respond-async"}
NPY = {"accept": "application/x-npy"}


async def ended(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            job: dict[str, Any] = (await client.get(url)).json()
            if job["state"] not in ("queued", "running"):
                return job
            await asyncio.sleep(0.05)


async def test_any_post_can_be_a_job(client: httpx.AsyncClient) -> None:
    """202 with an address, a record that tells everything, and the same bytes as an immediate answer."""
    accepted = await client.post("/sample", json={"seed": 7, "n": 3}, headers=ASYNC)
    assert accepted.status_code == 202
    assert accepted.headers["preference-applied"] == "respond-async"
    job = await ended(client, accepted.headers["location"])
    assert (job["state"], job["op"], job["attempts"]) == ("succeeded", "sample", 1)
    assert job["model"].startswith("tiny@")
    for accept in ("image/png", "application/x-npy", "application/zip"):
        late = await client.get(job["urls"]["result"], headers={"accept": accept})
        now = await client.post("/sample", json={"seed": 7, "n": 3}, headers={"accept": accept})
        assert late.content == now.content
    assert [entry["id"] for entry in (await client.get("/jobs")).json()["data"]] == [job["id"]]


async def test_a_patient_client_gets_the_result_at_once(client: httpx.AsyncClient) -> None:
    """wait=20 with respond-async answers 200 when the job ends in time."""
    answer = await client.post("/sample", json={"seed": 7}, headers={"prefer": "respond-async, wait=20", **NPY})
    assert answer.status_code == 200
    assert answer.content == (await client.post("/sample", json={"seed": 7}, headers=NPY)).content


async def test_too_many_pictures_become_a_job_by_themselves(client_with: ClientFactory) -> None:
    """The answer says why; the parts of two workers' shares are merged in order, same bytes as in one piece."""
    async with client_with(async_pictures=8, job_chunk_pictures=5) as client:
        accepted = await client.post("/sample", json={"seed": 100, "n": 23})
        assert accepted.status_code == 202
        assert "too many to wait for" in accepted.json()["reason"]
        job = await ended(client, accepted.headers["location"])
        assert job["progress"] == {"done": 23, "total": 23, "unit": "picture"}
        late = await client.get(job["urls"]["result"], headers=NPY)
    async with client_with() as client:
        now = await client.post("/sample", json={"seed": 100, "n": 23}, headers=NPY)
    assert late.content == now.content


async def test_a_retry_with_its_key_is_the_same_job(client: httpx.AsyncClient) -> None:
    """Even without a seed the same pictures come back; another body with the key is refused; each client its own."""
    key = {"idempotency-key": "order-1", **NPY}
    first = await client.post("/sample", json={"n": 2}, headers=key)
    again = await client.post("/sample", json={"n": 2}, headers=key)
    assert first.status_code == 200
    assert first.content == again.content
    other = await client.post("/sample", json={"n": 3}, headers=key)
    assert other.status_code == 422
    assert (await client.post("/sample", json={}, headers={"idempotency-key": "a b"})).status_code == 400


async def test_events_are_resumable(client: httpx.AsyncClient) -> None:
    """A page that lost its connection asks with Last-Event-ID and sees what it missed."""
    accepted = await client.post("/sample", json={"seed": 7, "n": 3}, headers=ASYNC)
    url = accepted.json()["urls"]["events"]
    text = (await client.get(url)).text
    names = [line[7:] for line in text.splitlines() if line.startswith("event: ")]
    assert (names[0], names[-1]) == ("queued", "succeeded")
    first = next(line[4:] for line in text.splitlines() if line.startswith("id: "))
    rest = (await client.get(url, headers={"last-event-id": first})).text
    assert text.endswith(rest)
    assert rest.count("event:") == len(names) - 1


async def test_a_bad_job_answers_its_own_error(client: httpx.AsyncClient) -> None:
    """What would have been 404 or 422 at once is the same error at the job's result."""
    accepted = await client.post("/sample", json={"latents": ["nobody"]}, headers=ASYNC)
    job = await ended(client, accepted.headers["location"])
    result = await client.get(job["urls"]["result"])
    now = await client.post("/sample", json={"latents": ["nobody"]})
    assert job["state"] == "failed"
    assert (result.status_code, result.json()["detail"]) == (now.status_code, now.json()["detail"])
    assert result.headers["content-type"] == "application/problem+json"


async def test_unknown_and_expired_jobs(client_with: ClientFactory) -> None:
    """404 for what never was, 410 for a result whose time is over."""
    async with client_with(job_result_ttl_s=1) as client:
        assert (await client.get(f"/jobs/{'0' * 32}")).status_code == 404
        accepted = await client.post("/sample", json={"seed": 1}, headers=ASYNC)
        job = await ended(client, accepted.headers["location"])
        await asyncio.sleep(1.2)
        gone = await client.get(job["urls"]["result"])
        assert (gone.status_code, gone.headers["content-type"]) == (410, "application/problem+json")


async def test_cancelling_twice_is_fine(client: httpx.AsyncClient) -> None:
    """The second cancel of a job answers its record too."""
    accepted = await client.post("/sample", json={"seed": 1}, headers=ASYNC)
    answers = [await client.post(accepted.json()["urls"]["cancel"]) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]


async def test_a_full_queue_says_when_to_come_back(client_with: ClientFactory) -> None:
    """429 with a Retry-After, in problem+json; accepted work is not touched."""
    async with client_with(role="api", max_jobs=2) as client:
        codes = [(await client.post("/sample", json={"seed": n}, headers=ASYNC)).status_code for n in range(2)]
        full = await client.post("/sample", json={"seed": 9}, headers=ASYNC)
    assert codes == [202, 202]
    assert full.status_code == 429
    assert int(full.headers["retry-after"]) >= 1


async def test_webhooks_only_go_to_listed_hosts(client: httpx.AsyncClient) -> None:
    """A visitor cannot make this server call anything."""
    answer = await client.post("/sample", json={"seed": 1, "webhook": "http://169.254.169.254/"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/webhook"


@pytest.fixture
async def fleet(client_with: ClientFactory, own_server: Server) -> AsyncIterator[tuple[httpx.AsyncClient, Any]]:
    """An API without an engine, and a factory for workers, on one external store."""
    async with client_with(role="api", redis_url=own_server.url, max_pictures=200) as api:
        yield api, lambda: client_with(role="worker", redis_url=own_server.url, max_pictures=200)


async def test_every_role_gives_the_same_bytes(fleet: Any, client: httpx.AsyncClient) -> None:
    """An API process without torch or a runtime answers through a worker: pictures, streams, errors as usual."""
    api, worker = fleet
    async with worker():
        for body in ({"seed": 3, "n": 4}, {"model": "tiny-labels", "seed": 3, "label": "red"}):
            through = await api.post("/sample", json=body, headers=NPY)
            assert through.content == (await client.post("/sample", json=body, headers=NPY)).content
        bad = {"model": "tiny-labels", "label": "purple"}
        there, here = [await c.post("/sample", json=bad) for c in (api, client)]
        assert (there.status_code, there.json()["errors"]) == (here.status_code, here.json()["errors"])
        stream = await api.post("/sample", json={"seed": 3}, headers={"accept": "text/event-stream"})
        assert "event: progress" in stream.text
        assert json.loads(stream.text.split("event: result\ndata: ")[1].splitlines()[0])["data"][0]["seed"] == 3
    assert (await api.get("/jobs")).json()["data"] == []


async def test_without_a_worker_the_deadline_is_kept(fleet: Any) -> None:
    """No worker: 504 after the deadline, nothing left in the queue for one that comes later."""
    api, _ = fleet
    answer = await api.post("/sample", json={"seed": 3, "timeout_ms": 500})
    assert answer.status_code == 504
    load = await api.app.state.ganymede.jobs.load()
    assert load.waiting_immediate == 0


async def test_a_worker_answers_only_health_and_metrics(fleet: Any) -> None:
    """Nobody can send work around the queue."""
    async with fleet[1]() as worker:
        assert (await worker.get("/readyz")).status_code == 200
        assert "ganymede_jobs" in (await worker.get("/metrics")).text
        assert (await worker.post("/sample", json={})).status_code == 404


async def test_draining_workers_hand_their_jobs_on(fleet: Any) -> None:
    """Workers come and go under load: every job ends, each result is the right one."""
    api, worker = fleet
    headers = {**ASYNC}
    async with worker():
        accepted = [await api.post("/sample", json={"seed": n, "n": 20}, headers=headers) for n in range(20)]
    async with worker():
        jobs = [await ended(api, answer.headers["location"]) for answer in accepted]
    assert {job["state"] for job in jobs} == {JobState.SUCCEEDED}


def test_the_api_role_imports_neither_torch_nor_onnxruntime(tmp_path: Path) -> None:
    """Its image is small, it starts at once and takes no 280 MiB more where the training package is installed, too."""
    import subprocess
    import sys

    lines = [
        "import sys, service.http.app",
        "from service.cli.main import main",
        "sys.argv = ['ganymede', 'serve', '--role', 'api', '--dry-run']",
        "try: main()",
        "except SystemExit: print([m for m in ('torch', 'onnxruntime') if m in sys.modules])",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
