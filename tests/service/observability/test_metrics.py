"""Metrics: what an operator sees must be what happened."""

import asyncio
import re

import httpx
import pytest

from models.runtimes.base import Array, Pixels
from service.engine import device_worker
from service.engine.batcher import Batch
from service.engine.level_work import run_batch
from tests.conftest import ClientFactory
from tests.service.servers import Server


async def value(client: httpx.AsyncClient, sample: str) -> float:
    """The value of one sample; 0 when it has not been counted yet."""
    found = re.search(rf"^ganymede_{re.escape(sample)} (\S+)$", (await client.get("/metrics")).text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def test_refusals_are_counted_by_their_reason(client_with: ClientFactory) -> None:
    """A full job queue, too: whoever watches for 429s sees why they happen."""
    async with client_with(role="api", max_jobs=1, max_body_bytes=2000) as client:
        for _ in range(3):
            await client.post("/sample", json={"seed": 1}, headers={"prefer": "respond-async"})
        await client.post("/sample", content=b" " * 3000)
        await client.post("/sample", json={"model": "nobody"})
        assert await value(client, 'rejected_total{reason="queue"}') == 2
        assert await value(client, 'rejected_total{reason="size"}') == 1
        assert await value(client, 'rejected_total{reason="unavailable"}') == 0


async def test_every_answer_is_timed_once(client_with: ClientFactory) -> None:
    """A picture at its address, too: whoever adds up all routes counts it as one request."""
    async with client_with() as client:
        assert (await client.get("/images/tiny/7.png")).status_code == 200
        counts = re.findall(
            r"^ganymede_request_seconds_count\S* (\S+)$", (await client.get("/metrics")).text, re.MULTILINE
        )
        assert [float(count) for count in counts] == [1]


async def test_a_missed_deadline_is_counted(client_with: ClientFactory) -> None:
    """Without a worker nothing is computed in time."""
    async with client_with(role="api") as client:
        await client.post("/sample", json={"seed": 1, "timeout_ms": 200})
        assert await value(client, 'rejected_total{reason="deadline"}') == 1


async def test_the_waiting_gauge_falls_when_a_caller_goes(
    client_with: ClientFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what waits now, not what waited when the last batch was formed."""
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def held(batch: Batch) -> Array | Pixels:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()
        return run_batch(batch)

    monkeypatch.setattr(device_worker, "run_batch", held)
    async with client_with() as client:
        task = asyncio.create_task(client.post("/sample", json={"n": 100}))
        async with asyncio.timeout(20):
            while await value(client, "waiting_pictures") != 84:
                await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await value(client, "waiting_pictures") == 0
        gate.set()


async def test_a_worker_without_its_store_is_not_ready(client_with: ClientFactory, own_server: Server) -> None:
    """A new version that cannot reach Redis stops the rollout; it is alive and comes back by itself."""
    async with client_with(role="worker", redis_url=own_server.url, job_lease_s=1) as worker:
        await _until_ready(worker, 200)
        own_server.kill()
        await _until_ready(worker, 503)
        assert (await worker.get("/livez")).status_code == 200
        own_server.start()
        await _until_ready(worker, 200)


async def _until_ready(client: httpx.AsyncClient, status: int) -> None:
    async with asyncio.timeout(20):
        while (await client.get("/readyz")).status_code != status:
            await asyncio.sleep(0.1)
